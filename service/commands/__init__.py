"""The commands of `softkv`, one a file; all but those that serve, measure or look here ask through the client."""
