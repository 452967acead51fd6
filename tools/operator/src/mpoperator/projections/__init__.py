"""Read models built anew from the log, switched, and dropped."""
