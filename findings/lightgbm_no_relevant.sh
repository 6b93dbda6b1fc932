#!/usr/bin/env bash
# lightgbm 4.7.0: ndcg and map of a query without a relevant document.
#
# A guess: 0, as in scikit-learn and trec_eval, or the query is left out of the mean.
#
# What happens: it counts as 1, a perfect ranking. A validation set where no query has a relevant
# document scores 1.0, and each such query raises the mean of the others.
#
#   lightgbm 4.7.0 scikit-learn 1.9.1
#   labels [0, 0, 0, 1, 0, 0, 0, 1]: lightgbm ndcg@1 1, map@1 1, scikit-learn ndcg@1 1
#   labels [0, 0, 1, 0, 0, 0, 0, 0]: lightgbm ndcg@1 0.5, map@1 0.5, scikit-learn ndcg@1 0
#   labels [0, 0, 0, 0, 0, 0, 0, 0]: lightgbm ndcg@1 1, map@1 1, scikit-learn ndcg@1 0

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check lightgbm==4.7.0 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
cat > "$folder/program.py" <<'PYTHON'
import warnings
from importlib.metadata import version

import lightgbm
import numpy as np
from sklearn.metrics import ndcg_score

warnings.simplefilter("ignore")
print("lightgbm", version("lightgbm"), "scikit-learn", version("scikit-learn"))
features, group = np.arange(8.0)[:, None], [4, 4]
train = lightgbm.Dataset(features, np.arange(8.0), group=group, params={"min_data_in_bin": 1})
validation = {str(labels): labels for labels in ([0, 0, 0, 1] * 2, [0, 0, 1, 0] + [0] * 4, [0] * 8)}
seen = {}
model = lightgbm.train(
    {"objective": "regression", "metric": ["ndcg", "map"], "eval_at": [1], "min_data_in_leaf": 1, "verbose": -1},
    train,
    num_boost_round=9,
    valid_sets=[lightgbm.Dataset(features, labels, group=group, reference=train) for labels in validation.values()],
    valid_names=list(validation),
    callbacks=[lightgbm.record_evaluation(seen)],
)
scores = model.predict(features).reshape(2, 4)
assert (np.diff(scores) > 0).all(), "the last document of a query has the highest score"
for name, labels in validation.items():
    by_sklearn = np.mean([ndcg_score([row], [score], k=1) for row, score in zip(np.reshape(labels, (2, 4)), scores)])
    measures = ", ".join(f"{measure} {values[-1]:g}" for measure, values in seen[name].items())
    print(f"labels {name}: lightgbm {measures}, scikit-learn ndcg@1 {by_sklearn:g}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
