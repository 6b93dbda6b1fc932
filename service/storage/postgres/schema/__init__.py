"""The tables of the PostgreSQL store, as numbered SQL files that run in order."""
