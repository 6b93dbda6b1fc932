"""Who is asked over a network, each in a process of its own: what they are given, how they start, what they speak.

`documents.py` has what all of them hold and the right answers; `store.py` what each of them can do; then one each.
"""
