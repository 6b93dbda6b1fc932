#!/usr/bin/env bash
# bm25s 0.3.16: retrieve with weight_mask, a mask of zeros and ones over the documents.
#
# A guess: it filters. Documents with a zero are not returned, and fewer than k may come back.
#
# What happens: it only multiplies scores. k documents always come back, and those with a zero fill
# the places with score 0, just like documents without a word of the query. With the method "bm25+",
# where these score above 0, the mask's zeros rank below them.
#
#   bm25s 0.3.16
#   lucene, mask [1, 0, 1, 0]: {0: 0.134, 1: 0.0, 2: 0.0, 3: 0.0}
#   bm25+, mask [1, 0, 1, 0]: {0: 0.735, 1: 0.0, 2: 0.255, 3: 0.0}

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check bm25s==0.3.16 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

import bm25s
import numpy as np

texts = ["red apple", "green apple", "blue sky", "apple"]
print("bm25s", version("bm25s"))
for method in ("lucene", "bm25+"):
    index = bm25s.BM25(method=method)
    index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    mask = np.array([1, 0, 1, 0])
    found = index.retrieve([["apple"]], k=4, weight_mask=mask, show_progress=False)
    scores = dict(sorted(zip(found.documents[0].tolist(), found.scores[0].tolist(), strict=True)))
    print(f"{method}, mask {mask.tolist()}:", {number: round(score, 3) for number, score in scores.items()})
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
