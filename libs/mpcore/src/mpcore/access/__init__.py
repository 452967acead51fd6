"""Who may do what: the authorizer, and whose word a message counts as."""
