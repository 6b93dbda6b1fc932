/** A command that repeats a call over HTTP. */

/**
 * @param {string} origin the service with the path that a proxy gives it, e.g. http://127.0.0.1:8000
 * @param {{method: string, path: string, body?: object}} request
 * @param {boolean} keyed whether the service asks for a key; the key itself is never written out
 */
export function curl(origin, { method, path, body }, keyed = false) {
  const parts = [`curl -s ${method === "POST" ? "" : `-X ${method} `}${quoted(origin + path)}`];
  if (keyed) parts.push(`-H "Authorization: Bearer $SOFTKV_KEY"`);
  if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return parts.join(" \\\n  ");
}

/** @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
