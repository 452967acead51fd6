"""The world behind the ports, one port a file."""
