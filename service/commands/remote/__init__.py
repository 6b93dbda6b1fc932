"""The running service, as the commands use it: through the client, like anyone else."""
