"""The collections: each a record, a memory of keys, and what is known of both."""
