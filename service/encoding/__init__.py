"""Text → vectors: which model, how it reads a text, and in which order texts get their turn."""
