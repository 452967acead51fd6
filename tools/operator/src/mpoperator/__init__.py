"""What operators prove, replay and restore with: groups of `mpctl` that look at the log and its copies directly."""
