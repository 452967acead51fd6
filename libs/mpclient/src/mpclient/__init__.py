"""The typed Python SDK of ModuPrompt, and the command line `mpctl` on top of it."""
