"""The middleware that every request passes before its route is known. Each layer checks only the raw request."""
