"""HTTP under `softkv serve`: connections, the server, its addresses and its end."""
