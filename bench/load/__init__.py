"""What produces load or does the measured work: each module is a process of its own, told what to do line by line."""
