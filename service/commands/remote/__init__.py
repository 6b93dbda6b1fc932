"""The running service, as the commands use it: over HTTP like anyone else."""
