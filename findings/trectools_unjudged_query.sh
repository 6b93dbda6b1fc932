#!/usr/bin/env bash
# trectools 0.0.50: a run answers a query that the judgments do not hold.
#
# A guess: the query is left out, as trec_eval does, since nobody knows what is relevant to it.
#
# What happens: it counts as 0 in MAP, NDCG, precision and recall, because each sum is divided by
# the number of queries in the run. The same run scored with part of the judgments, one fold of them
# for instance, gets lower means for no other reason. pytrec-eval-terrier 0.5.11 leaves the query
# out.
#
#   trectools 0.0.50 pytrec-eval-terrier 0.5.11
#   run of q1, q2: {'MAP': 1.0, 'NDCG': 1.0, 'P@1': 1.0}
#   by pytrec-eval-terrier: {'map': 1.0, 'ndcg': 1.0, 'P_1': 1.0}
#   run of q1, q2, q3, q4: {'MAP': 0.5, 'NDCG': 0.5, 'P@1': 0.5}
#   by pytrec-eval-terrier: {'map': 1.0, 'ndcg': 1.0, 'P_1': 1.0}

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check trectools==0.0.50 pytrec-eval-terrier==0.5.11 pandas==3.1.1 scipy==1.17.1 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import pytrec_eval
from trectools import TrecEval, TrecQrel, TrecRun

relevant = {"q1": {"a": 1}, "q2": {"b": 1}}
print("trectools", version("trectools"), "pytrec-eval-terrier", version("pytrec-eval-terrier"))
with TemporaryDirectory() as folder:
    judged, run = Path(folder) / "qrels", Path(folder) / "run"
    judged.write_text("q1 0 a 1\nq2 0 b 1\n")
    for answers in ({"q1": "a", "q2": "b"}, {"q1": "a", "q2": "b", "q3": "a", "q4": "b"}):
        run.write_text("".join(f"{query} Q0 {document} 1 1.0 tag\n" for query, document in answers.items()))
        by_trectools = TrecEval(TrecRun(str(run)), TrecQrel(str(judged)))
        measures = {"MAP": by_trectools.get_map(), "NDCG": by_trectools.get_ndcg(), "P@1": by_trectools.get_precision(depth=1)}
        print(f"run of {', '.join(answers)}:", {name: round(float(value), 3) for name, value in measures.items()})
        by_pytrec_eval = pytrec_eval.RelevanceEvaluator(relevant, {"map", "ndcg", "P_1"}).evaluate(
            {query: {document: 1.0} for query, document in answers.items()}
        )
        means = {name: mean(query[name] for query in by_pytrec_eval.values()) for name in ("map", "ndcg", "P_1")}
        print("by pytrec-eval-terrier:", means)
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
