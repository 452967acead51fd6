"""The command line `mpctl`: a thin, friendly face of the SDK, generated from the registry where it can be."""
