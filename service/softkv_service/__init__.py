"""The service: collections and documents in a store, and the soft lookup over HTTP, built on the library
`softkv_attention`.
"""
