"""The commands of `softkv`, one a file; all but `serve`, `bench` and `doctor` ask a service through the client."""
