"""What goes into a request: JSON, vectors in base64, and the checks that need no service."""
