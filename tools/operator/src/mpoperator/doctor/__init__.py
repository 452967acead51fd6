"""`mpctl doctor`: looks at every server and service, says what is wrong and what mends it. It changes nothing."""
