#!/usr/bin/env bash
# gensim 4.4.0: a zero vector among KeyedVectors, as a word has whose file gives it only zeros.
#
# A guess: it is similar to nothing. `similarity` says 0 for it, so `most_similar` ranks it by 0.
#
# What happens: `similarity` says 0, but in `most_similar` its similarity is NaN, and it comes after a word
# of the opposite direction, with -1. Asked for the zero vector itself, everything is NaN.
#
#   gensim 4.4.0
#   similarity(north, nothing): 0.0
#   most_similar(north): [('northeast', 0.707), ('east', 0.0), ('south', -1.0), ('nothing', nan)]
#   most_similar(nothing): 4 of 4 are NaN

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check gensim==4.4.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
import warnings
from importlib.metadata import version

import numpy as np
from gensim.models import KeyedVectors

warnings.simplefilter("ignore")
words = {"north": [1, 0], "east": [0, 2], "northeast": [3, 3], "south": [-1, 0], "nothing": [0, 0]}
vectors = KeyedVectors(2)
vectors.add_vectors(list(words), np.array(list(words.values()), dtype=np.float32))
print("gensim", version("gensim"))
print("similarity(north, nothing):", float(vectors.similarity("north", "nothing")))
best = vectors.most_similar("north", topn=4)
print("most_similar(north):", [(word, round(float(similarity), 3)) for word, similarity in best])
best = vectors.most_similar("nothing", topn=4)
print("most_similar(nothing):", sum(bool(np.isnan(similarity)) for _, similarity in best), "of", len(best), "are NaN")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
