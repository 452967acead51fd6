"""The part that all tools of ours share: contexts, output, exits. Tools meet here and nowhere else."""
