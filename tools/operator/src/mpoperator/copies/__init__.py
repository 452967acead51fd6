"""The copies of a log, each read as it is: the stream, the archive, sealed segments; and the chain that proves them."""
