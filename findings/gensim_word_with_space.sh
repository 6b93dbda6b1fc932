#!/usr/bin/env bash
# gensim 4.4.0: save_word2vec_format of vectors whose keys have spaces, such as phrases or titles.
#
# A guess: load_word2vec_format gives the same keys and vectors back, or saving refuses such a key.
#
# What happens: a space ends the key in both forms, and saving does not say so. The text cannot be loaded.
# The binary form loads without a word: the rest of the key is read as numbers, so that its vector and the
# next key are wrong. The keys after that may be right again.
#
#   gensim 4.4.0
#   saved  ['cat', 'new york', 'dog', 'sea']
#   text   ValueError: could not convert string to float: 'york'
#   binary ['cat', 'new', '@\x00\x00\x00Adog', 'sea']
#   new    [2.9309e+26, -1.0842e-19, -2.0, -3.6894e+19] in place of [5.0, 6.0, 7.0, 8.0]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check gensim==4.4.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from gensim.models import KeyedVectors

print("gensim", version("gensim"))
keys = ["cat", "new york", "dog", "sea"]
saved = KeyedVectors(4)
saved.add_vectors(keys, np.arange(1, 17, dtype=np.float32).reshape(4, 4))
print("saved ", keys)
for name in ("text", "binary"):
    saved.save_word2vec_format(sys.argv[1], binary=name == "binary")
    try:
        loaded = KeyedVectors.load_word2vec_format(sys.argv[1], binary=name == "binary")
        print(f"{name:6}", loaded.index_to_key)
    except ValueError as error:
        print(f"{name:6} ValueError: {error}")
numbers = [float(f"{number:.4e}") for number in loaded["new"]]
print("new   ", numbers, "in place of", saved["new york"].tolist())
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" "$folder/vectors" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
