"""The store in SQLite: nothing outside this room knows its tables."""
