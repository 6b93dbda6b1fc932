"""Whole stores: saved in a file, made of one, brought from one place to another."""
