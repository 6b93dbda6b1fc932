#!/usr/bin/env bash
# mcp 2.3.0: a tool whose argument is declared as `str | None`, and texts that are JSON as well.
#
# A guess: a text arrives as it was sent, as it does where the argument is declared as `str`.
#
# What happens: unless the type is `str` alone, a text that is JSON is parsed first. "null" becomes None, as
# if no text had been sent. A text that is a list or an object is refused, since it is no string.
#
#   mcp 2.3.0
#   cats: plain 'cats', optional 'cats'
#   null: plain 'null', optional None
#   [1]: plain '[1]', optional refused
#   {"a": 1}: plain '{"a": 1}', optional refused

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check mcp==2.3.0
cat > "$folder/program.py" <<'PYTHON'
import asyncio
from importlib.metadata import version

from mcp import Client
from mcp.server import MCPServer

server = MCPServer("finding")


@server.tool()
def plain(text: str) -> str:
    return repr(text)


@server.tool()
def optional(text: str | None = None) -> str:
    return repr(text)


async def main() -> None:
    print("mcp", version("mcp"))
    async with Client(server) as client:
        for text in ("cats", "null", "[1]", '{"a": 1}'):
            seen = []
            for tool in ("plain", "optional"):
                answer = await client.call_tool(tool, {"text": text})
                seen.append(f"{tool} {'refused' if answer.is_error else answer.content[0].text}")
            print(f"{text}: {', '.join(seen)}")


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" -I "$folder/program.py" > "$folder/output" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
# The indented lines of the statement are the output that was seen.
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
