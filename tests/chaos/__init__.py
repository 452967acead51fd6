"""Faults on real servers and real processes, under load, with the promises checked afterwards."""
