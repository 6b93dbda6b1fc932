"""The rows that a scan listed: put in order, counted, weighed, and the best of them picked."""
