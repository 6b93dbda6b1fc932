"""HTTP: one router a file, thin; `problems` is the one table from errors to statuses."""
