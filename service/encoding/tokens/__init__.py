"""From text to token ids, and back to where they stood."""
