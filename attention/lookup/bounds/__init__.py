"""How far an answer may be from the exact one: every bound, each with its proof."""
