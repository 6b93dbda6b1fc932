"""Texts that wait for the encoder, and vectors that are remembered."""
