"""Engines that run the same sentence encoder on this machine, all in one process: building, calling, comparing.

`contest.py` lists them, `texts.py` has their texts; then one file each.
"""
