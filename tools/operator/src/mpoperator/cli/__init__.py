"""The groups of `mpctl`, each a thin layer over what the package does."""
