"""The refusals of calls: a `table` of all of them, and their form on the wire."""
