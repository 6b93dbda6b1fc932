"""Parts of a view that other processes of this machine scan: they map its blocks, and say what they gathered."""
