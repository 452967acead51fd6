"""A world of kernels and projectors in virtual time, driven by a seed: whatever happens, happens again."""
