"""The aggregate `project`."""
