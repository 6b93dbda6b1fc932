"""The hot loops in C: one library for each platform, built by `build.py` with the package `ziglang`.

`lanes.h` has vectors of 16 numbers, `dot.h` products of bytes. `keys.c` reads the codes of keys, `values.c` those of
values, `originals.c` float32 rows, `candidates.c` the rows that a scan listed. `exact.c` is a whole softmax over
float32 rows, `scan.c` one over codes for one query. `encoder.c` is a whole Transformer encoder, with its steps in
`products.h`, `rows.h` and `attention.h`. Each file is compiled for every kind of processor in `kinds.py`, with the kind
in the names of its functions.
`library.py` loads the best one for this machine.

There is no C library underneath: callers pass all memory, so one file serves glibc of any age, musl and Windows.
"""
