"""The tables of the SQLite store, and the migrations of older files."""
