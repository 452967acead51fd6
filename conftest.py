"""Gives every test of the repository the same fixtures."""

pytest_plugins = ["tests.support.programs", "tests.support.plugin", "tests.support.node"]
