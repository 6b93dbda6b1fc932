#!/usr/bin/env bash
# mlx 0.32.4 and jax 0.10.2: causal attention with fewer queries than keys, as with a cache.
#
# A guess: the causal mask is one convention, or at least a single new query sees the whole cache.
#
# What happens: mlx aligns the last query with the last key, jax the first query with the first key.
# One query over 4 cached keys sees all 4 in mlx and only the first in jax. With scores all equal
# and values 0, 1, 2, 3, the outputs are means of the values seen.
#
#   mlx 0.32.4 jax 0.10.2
#   4 queries, 4 keys: mlx [0.0, 0.5, 1.0, 1.5], jax [0.0, 0.5, 1.0, 1.5]
#   2 queries, 4 keys: mlx [1.0, 1.5], jax [0.0, 0.5]
#   1 queries, 4 keys: mlx [1.5], jax [0.0]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "mlx[cpu]==0.32.4" jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import jax
import mlx.core as mx
import numpy as np

print("mlx", version("mlx"), "jax", version("jax"))
for queries, keys in ((4, 4), (2, 4), (1, 4)):
    q, k = np.zeros((1, 1, queries, 4), np.float32), np.zeros((1, 1, keys, 4), np.float32)
    v = np.broadcast_to(np.arange(keys, dtype=np.float32)[:, None], k.shape).copy()
    by_mlx = mx.fast.scaled_dot_product_attention(*map(mx.array, (q, k, v)), scale=1.0, mask="causal")
    by_jax = jax.nn.dot_product_attention(*(x.swapaxes(1, 2) for x in (q, k, v)), is_causal=True)
    print(f"{queries} queries, {keys} keys:", end=" ")
    print(f"mlx {np.array(by_mlx)[0, 0, :, 0].tolist()}, jax {np.asarray(by_jax)[0, :, 0, 0].tolist()}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
