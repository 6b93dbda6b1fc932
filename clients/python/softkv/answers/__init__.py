"""What comes back, each as a class of its own."""
