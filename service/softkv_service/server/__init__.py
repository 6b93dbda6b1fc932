"""The HTTP server that `softkv serve` runs: connections, timeouts, malformed requests, startup and shutdown."""
