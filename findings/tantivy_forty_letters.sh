#!/usr/bin/env bash
# tantivy 0.27.0: a word of 40 letters in a text field with the default tokenizer.
#
# A guess: every word of a document can be found, or a limit is far above real words, as Lucene's
# 255.
#
# What happens: words of 40 letters or more are dropped from the index and from queries, silently. A
# SHA-1 digest, such as a Git commit, has exactly 40 letters and is never found, while an MD5 digest
# is. A query that requires it with AND finds documents without it.
#
#   tantivy 0.27.0
#   <32 letters>: 1 found
#   commit AND <32 letters>: 1 found
#   <40 letters>: 0 found
#   commit AND <40 letters>: 2 found

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tantivy==0.27.0
cat > "$folder/program.py" <<'PYTHON'
import hashlib
from importlib.metadata import version

import tantivy

builder = tantivy.SchemaBuilder()
builder.add_text_field("body", stored=True)
index = tantivy.Index(builder.build())
digests = [hashlib.new(name, b"softness").hexdigest() for name in ("md5", "sha1")]
with index.writer() as writer:
    for digest in digests:
        writer.add_document(tantivy.Document(body=f"commit {digest}"))
    writer.commit()
index.reload()
searcher = index.searcher()
print("tantivy", version("tantivy"))
for digest in digests:
    for text in (digest, f"commit AND {digest}"):
        found = searcher.search(index.parse_query(text, ["body"]), 9).hits
        print(f"{text.replace(digest, f'<{len(digest)} letters>')}: {len(found)} found")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
