"""A referee for other vector stores: `softkv check-index` compares their searches with the exact answers.

`command.py` is the command. `stores/` reads other stores, and `index_check/` compares.
"""
