"""The commands of `softkv`, one a file; all but `serve` and `doctor` speak HTTP to a running service."""
