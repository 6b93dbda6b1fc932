"""The product around the core: collections, documents, the soft lookup over HTTP."""
