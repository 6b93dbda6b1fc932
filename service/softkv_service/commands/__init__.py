"""The commands of `softkv` that need the service's own code, one file for each; the client has the others."""
