"""The commands of `softkv`, one a file; all but `serve`, `bench` and `doctor` ask a running service, through the client."""
