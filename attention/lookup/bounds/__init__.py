"""Bounds on the distance of an answer from the exact one, each with its proof."""
