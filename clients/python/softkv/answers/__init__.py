"""The client's results: one class for each kind of response."""
