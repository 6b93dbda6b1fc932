#!/usr/bin/env bash
# haystack-ai 3.4.1: DocumentJoiner with join_mode="distribution_based_rank_fusion".
#
# A guess: scores of each list are brought to one scale and added, so that a document in both lists gains,
# as with "reciprocal_rank_fusion".
#
# What happens: a document keeps the better of its two scores, and gains nothing from being in both lists.
# A list of one hit, or of equal scores, is not brought to the scale. With 7 from BM25 its hit is above all
# others.
#
#   haystack-ai 3.4.1
#   b in both, by ranks: ['b 0.98', 'a 0.50', 'd 0.50', 'c 0.48', 'e 0.48']
#   b in both, by distribution: ['a 0.70', 'd 0.65', 'b 0.58', 'c 0.30', 'e 0.27']
#   a alone, with 7: ['a 7.00', 'd 0.65', 'b 0.58', 'e 0.27']

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check haystack-ai==3.4.1
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version

from haystack import Document
from haystack.components.joiners import DocumentJoiner


def ranking(mode: str, *lists: dict[str, float]) -> list[str]:
    documents = [[Document(id=name, content=name, score=score) for name, score in scores.items()] for scores in lists]
    return [f"{found.id} {found.score:.2f}" for found in DocumentJoiner(join_mode=mode).run(documents)["documents"]]


words = {"a": 12.0, "b": 8.0, "c": 4.0}
vectors = {"d": 0.9, "b": 0.8, "e": 0.4}
print("haystack-ai", version("haystack-ai"))
print("b in both, by ranks:", ranking("reciprocal_rank_fusion", words, vectors))
print("b in both, by distribution:", ranking("distribution_based_rank_fusion", words, vectors))
print("a alone, with 7:", ranking("distribution_based_rank_fusion", {"a": 7.0}, vectors))
PYTHON
HAYSTACK_TELEMETRY_ENABLED=False "$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
