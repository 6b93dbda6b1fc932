"""The tables, and what makes those of today of those of an older file."""
