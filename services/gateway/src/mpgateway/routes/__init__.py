"""The paths and their handlers. Commands and queries come from the registry: each exists once, there."""
