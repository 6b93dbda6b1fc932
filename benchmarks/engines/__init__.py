"""Who runs the same sentence encoder on this machine, all in one process: how each is made, asked and compared.

`contest.py` lists them, `texts.py` has what they are asked; then one each.
"""
