"""The routes, one router a file: parse, call, shape the answer."""
