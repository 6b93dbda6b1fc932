"""The lab on the wire: what to train, what a trained model writes, and what it looks at meanwhile."""
