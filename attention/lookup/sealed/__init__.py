"""Full blocks in files: the next start maps them into memory, and checks every byte against checksums."""
