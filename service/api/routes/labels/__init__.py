"""Calls with labelled questions."""
