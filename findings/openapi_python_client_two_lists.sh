#!/usr/bin/env bash
# openapi-python-client 0.29.1: a field that is a list of numbers or a list of objects.
#
# A guess: the field takes either list, as its type says.
#
# What happens: the generated code asks only whether the value is a list, and the first kind of list
# wins. Here objects are not converted, so the call fails. With the kinds in the other order,
# numbers fail. The generated module does not pass mypy either.
#
#   openapi-python-client 0.29.1
#   type of the field: list[float] | list[Part]
#   numbers: {"query": [1.0, 2.0]}
#   objects: TypeError: Object of type Part is not JSON serializable
#   other order, objects: {"query": [{"text": "cats"}]}
#   other order, numbers: AttributeError: 'float' object has no attribute 'to_dict'

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check openapi-python-client==0.29.1
cat > "$folder/program.py" <<'PYTHON'
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

folder = Path(sys.argv[1])
numbers = {"type": "array", "items": {"type": "number"}}
parts = {"type": "array", "items": {"$ref": "#/components/schemas/Part"}}


def generated(package, kinds):
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Question"}}}
    call = {"operationId": "ask", "requestBody": {"content": body}, "responses": {"204": {"description": "done"}}}
    schemas = {
        "Part": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False},
        "Question": {"type": "object", "properties": {"query": {"anyOf": kinds}}, "required": ["query"], "additionalProperties": False},
    }
    document = {"openapi": "3.1.0", "info": {"title": package, "version": "1"}, "paths": {"/ask": {"post": call}}, "components": {"schemas": schemas}}
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "config.yml").write_text(f"package_name_override: {package}\n")
    words = ["-m", "openapi_python_client", "generate", "--path", "openapi.json", "--config", "config.yml", "--meta", "none"]
    subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True)
    sys.path.insert(0, str(folder))
    return __import__(f"{package}.models").models


def sent(models, query):
    try:
        return json.dumps(models.Question(query=query).to_dict())
    except (TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"


print("openapi-python-client", version("openapi-python-client"))
models = generated("numbers_first", [numbers, parts])
print("type of the field:", models.Question.__annotations__["query"])
print("numbers:", sent(models, [1.0, 2.0]))
print("objects:", sent(models, [models.Part("cats")]))
models = generated("parts_first", [parts, numbers])
print("other order, objects:", sent(models, [models.Part("cats")]))
print("other order, numbers:", sent(models, [1.0, 2.0]))
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" "$folder" > "$folder/output"
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
