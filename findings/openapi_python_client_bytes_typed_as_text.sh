#!/usr/bin/env bash
# openapi-python-client 0.29.1: an answer that is a file, described as a string without a format.
#
# A guess: the answer is a str, as its type says, or a File, as with the format `binary`.
#
# What happens: it is typed as str, and is bytes. No error says so.
#
#   openapi-python-client 0.29.1
#   the type says str | None, the answer is bytes: b'caf\xc3\xa9'

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check openapi-python-client==0.29.1
cat > "$folder/program.py" <<'PYTHON'
import inspect
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import httpx

folder = Path(sys.argv[1])
answer = {"description": "a file", "content": {"application/octet-stream": {"schema": {"type": "string"}}}}
call = {"operationId": "read", "responses": {"200": answer}}
document = {"openapi": "3.1.0", "info": {"title": "files", "version": "1"}, "paths": {"/file": {"get": call}}}
(folder / "openapi.json").write_text(json.dumps(document))
words = ["-m", "openapi_python_client", "generate", "--path", "openapi.json", "--meta", "none"]
subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True)
sys.path.insert(0, str(folder))
from files_client import Client
from files_client.api.default import read

print("openapi-python-client", version("openapi-python-client"))
transport = httpx.MockTransport(lambda request: httpx.Response(200, content="café".encode()))
client = Client("http://files", httpx_args={"transport": transport})
content = read.sync(client=client)
print(f"the type says {inspect.signature(read.sync).return_annotation}, the answer is {type(content).__name__}: {content!r}")
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" "$folder" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
