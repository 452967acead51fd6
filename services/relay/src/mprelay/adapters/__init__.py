"""The feed behind its port."""
