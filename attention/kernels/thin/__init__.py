"""The passes over thin codes: 2 or 4 bits a component, and rows drawn by their weight as they are read."""
