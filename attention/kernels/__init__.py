"""The arithmetic of the lookup in machine code, and its twin in NumPy: all that imports numba or llvmlite."""
