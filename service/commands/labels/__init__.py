"""Commands on labelled questions."""
