"""The calls of the service, one function each. A function returns an unsent `Call` or `Plan`."""
