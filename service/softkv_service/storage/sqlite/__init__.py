"""The store in SQLite: nothing outside this package knows its tables."""
