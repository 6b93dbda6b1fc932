"""The store in PostgreSQL: nothing outside this package knows its tables, or psycopg. `store.py` has its class."""
