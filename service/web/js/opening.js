/**
 * A classic script before all modules: what the address says of theme and type is there with the first line drawn, and
 * the opening question is asked while the modules come. What is asked here is taken over by api.js, or is asked again.
 */
(() => {
  const FRAME = ["scene", "lang", "theme", "projector"];
  const QUESTION = { query: "books about felines", temperature: 0.05, top_k: 1000, null: false };
  const said = new URLSearchParams(window.location.hash.slice(1));
  const root = document.documentElement;
  const opening = (said.get("scene") ?? "library") === "library" && [...said.keys()].every((name) => FRAME.includes(name));
  const theme = said.get("theme");
  if (theme !== null) root.dataset.theme = theme;
  if (said.get("projector") === "1") root.dataset.projector = "on";
  if (!opening || (said.get("lang") ?? root.lang) !== root.lang) root.dataset.elsewhere = "";
  if (new URLSearchParams(window.location.search).get("embed") === "1") root.dataset.embed = "";
  window.asked = {};
  if (root.dataset.exported !== undefined) return;
  try {
    const fonts = new URL("../css/fonts.css", /** @type {HTMLScriptElement} */ (document.currentScript).src).href;
    if (window.localStorage.getItem("softkv-fonts") === fonts) {
      document.head.append(Object.assign(document.createElement("link"), { id: "fonts", rel: "stylesheet", href: fonts }));
    }
    if (!opening || window.sessionStorage.getItem("softkv-key")) return;
  } catch {
    // A frame that may keep nothing has neither.
  }
  if (!opening) return;
  const [method, path, body] = ["POST", "/v1/collections/library/compare", JSON.stringify(QUESTION)];
  window.asked[`${method} ${path} ${body}`] = fetch(`.${path}`, { method, body, headers: { "Content-Type": "application/json" } }).catch(() => null);
})();
