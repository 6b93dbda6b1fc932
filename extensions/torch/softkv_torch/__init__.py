"""Attention over a memory in torch and scikit-learn, and `softkv train`.

`gradients/` is a memory as a layer of torch, which `attention.torch` names. `estimators.py` has the estimators of
`attention.estimators`. `train/` is the command.
"""
