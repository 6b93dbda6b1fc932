"""The commands of `softkv`, one file for each. Most commands call a running service through the client."""
