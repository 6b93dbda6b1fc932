/* The notebook's cells: each is sent to the worker in which Python runs, after those above it that have not run. */

const words = JSON.parse(document.body.dataset.words);
const state = document.querySelector("#state");
const all = document.querySelector("#all");
const cells = [...document.querySelectorAll(".cell")].map((cell) => ({
  source: cell.querySelector("textarea"),
  button: cell.querySelector("button"),
  output: cell.querySelector("pre"),
  hasRun: false,
}));
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
/** The cells to run, by their indices; the first one runs now. */
const queue = [];
let isReady = false;

function say(name, values = {}) {
  state.textContent = words[name].replace(/\{(\w+)\}/g, (_, value) => values[value]);
}

function next() {
  if (queue.length === 0) {
    say("ready");
    return;
  }
  say("running", { number: queue[0] });
  worker.postMessage({ source: cells[queue[0]].source.value, name: `cell ${queue[0]}` });
}

function run(indices) {
  const isIdle = queue.length === 0;
  queue.push(...indices.filter((index) => !queue.slice(1).includes(index)));
  if (isReady && isIdle) next();
}

/** Run a cell, and before it those above that have not run. */
function runTo(last) {
  run(cells.flatMap((cell, index) => (index === last || (index < last && !cell.hasRun) ? [index] : [])));
}

worker.addEventListener("message", ({ data }) => {
  if (data.kind === "loading" || data.kind === "failed") {
    say(data.kind, data);
    return;
  }
  if (data.kind === "ready") {
    isReady = true;
    for (const { button } of cells) button.disabled = false;
    all.disabled = false;
  } else {
    const cell = cells[queue.shift()];
    cell.hasRun = true;
    cell.output.textContent = data.output;
    cell.output.classList.toggle("failed", data.isError);
  }
  next();
});
worker.addEventListener("error", (event) => say("failed", { reason: event.message || "worker.js" }));

for (const [index, { source, button }] of cells.entries()) {
  button.addEventListener("click", () => runTo(index));
  source.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.shiftKey || button.disabled) return;
    event.preventDefault();
    runTo(index);
  });
}
all.addEventListener("click", () => run([...cells.keys()]));
