"""Load generators and measured work. Each module is a process of its own, which takes its orders line by line."""
