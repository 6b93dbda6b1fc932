"""The store in PostgreSQL: nothing outside this room knows its tables, or psycopg."""
