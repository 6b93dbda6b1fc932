/**
 * A classic script before all others. A link to a scene, which the page at `/` once was, leads to the scenes. A visitor
 * who chose the explorer is sent there, and one who comes by a link to learn is remembered (`purpose.js`).
 */
(() => {
  const { hash, search, pathname } = window.location;
  const isExported = document.documentElement.dataset.exported !== undefined;
  const said = new URLSearchParams(hash.slice(1));
  if (said.has("scene") || said.has("packed")) {
    window.location.replace(`${isExported ? "scenes.html" : "scenes"}${search}${hash}`);
    return;
  }
  if (isExported) return;
  try {
    if (search === "?learn") {
      window.localStorage.setItem("softkv-purpose", "learn");
      window.history.replaceState(null, "", pathname + hash);
    } else if (!search && !hash && window.localStorage.getItem("softkv-purpose") === "explore") window.location.replace("explore");
  } catch (failure) {
    if (!(failure instanceof DOMException)) throw failure; // a browser that keeps nothing
  }
})();
