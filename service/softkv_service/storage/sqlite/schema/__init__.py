"""The tables of the SQLite store, and the checks that a file has them."""
