/* Python in a worker, by Pyodide: it loads files of this folder alone, and runs one cell at a time. */

import { loadPyodide } from "./pyodide/pyodide.mjs";

const printed = [];
const started = start();

async function start() {
  const { wheels, megabytes } = await (await fetch(new URL("files.json", import.meta.url))).json();
  postMessage({ kind: "loading", megabytes });
  const python = await loadPyodide();
  python.setStdout({ batched: (line) => printed.push(line) });
  await python.loadPackage(
    wheels.map((name) => new URL(name, import.meta.url).href),
    { messageCallback: () => {} },
  );
  postMessage({ kind: "ready" });
  return python;
}

started.catch((error) => postMessage({ kind: "failed", reason: String(error) }));

/** The part of a traceback that is about cells. */
function shorten(message) {
  const lines = message.trimEnd().split("\n");
  const first = lines.findIndex((line) => line.includes('File "cell'));
  return (first < 0 ? lines.slice(-1) : lines.slice(first)).join("\n");
}

addEventListener("message", async ({ data: { source, name } }) => {
  const python = await started;
  printed.length = 0;
  let isError = false;
  try {
    const value = await python.runPythonAsync(source, { filename: name });
    if (value !== undefined) printed.push(String(value));
  } catch (error) {
    isError = true;
    printed.push(shorten(error.message));
  }
  postMessage({ kind: "output", output: printed.join("\n"), isError });
});
