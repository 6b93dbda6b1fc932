"""Every performance figure of this project, as a command."""
