"""`mpctl top`: one look at everything that moves, drawn again and again."""
