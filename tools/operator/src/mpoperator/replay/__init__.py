"""The log folded once more: the roots it must reach, and the place where two folds part."""
