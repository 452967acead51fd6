"""Which handler answers at which path. Commands and queries come from the registry: each exists once, there."""
