"""The tables of the PostgreSQL store, and their version."""
