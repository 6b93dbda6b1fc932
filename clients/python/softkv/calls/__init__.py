"""The calls of the service, a function each: its arguments are the request's fields, what it makes is not sent yet."""
