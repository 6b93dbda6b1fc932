"""The refusals of calls: a `table` of all error codes, and the error responses that clients get."""
