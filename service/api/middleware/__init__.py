"""The middleware of every request, before its route is known. Each layer checks only what the raw request shows."""
