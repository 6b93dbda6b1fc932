#!/usr/bin/env bash
# lancedb 0.40.0: full text of Hindi, whose words join consonants with a virama.
#
# A guess: the default tokenizer, simple, ends words at spaces and punctuation, so that a Hindi word is one token;
# the tokenizers named after ICU know Hindi anyway.
#
# What happens: simple ends a word at each virama. The language हिन्दी becomes हिन् and दी, "gave", and finds a text
# without the language; कूल, no word, finds the school स्कूल. icu/split does the same. icu and whitespace do not.
#
#   lancedb 0.40.0
#   simple     हिन्दी: ['हिन्दी सीखो', 'उसने किताब दी']  कूल: ['स्कूल बंद है']
#   icu/split  हिन्दी: ['हिन्दी सीखो', 'उसने किताब दी']  कूल: ['स्कूल बंद है']
#   icu        हिन्दी: ['हिन्दी सीखो']  कूल: []
#   whitespace हिन्दी: ['हिन्दी सीखो']  कूल: []

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check lancedb==0.40.0 pyarrow==26.0.1
cat > "$folder/program.py" <<'PYTHON'
import sys
from importlib.metadata import version

import lancedb
from lancedb.index import FTS

print("lancedb", version("lancedb"))
texts = ["हिन्दी सीखो", "उसने किताब दी", "स्कूल बंद है", "नमस्ते"]
table = lancedb.connect(sys.argv[1]).create_table("t", [{"text": text} for text in texts])
for tokenizer in ("simple", "icu/split", "icu", "whitespace"):
    table.create_index("text", config=FTS(base_tokenizer=tokenizer), replace=True)
    found = []
    for word in ("हिन्दी", "कूल"):
        rows = table.search(word, query_type="fts").limit(4).to_list()
        found.append(f"{word}: {sorted((row['text'] for row in rows), reverse=True)}")
    print(f"{tokenizer:10}", "  ".join(found))
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" "$folder/tables" 2> "$folder/warnings" > "$folder/output" || { cat "$folder/warnings"; exit 1; }
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
