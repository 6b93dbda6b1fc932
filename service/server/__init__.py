"""The HTTP server under `softkv serve`: connections, timeouts, malformed requests, startup and shutdown."""
