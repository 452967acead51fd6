"""The life of a connection before there is a request and after there is an answer: bytes, bounds, deadlines."""
