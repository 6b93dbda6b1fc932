/** A classic script before all others: a link to a scene, which the page at `/` once was, leads to the scenes. */
(() => {
  const { hash, search } = window.location;
  const said = new URLSearchParams(hash.slice(1));
  if (!said.has("scene") && !said.has("packed")) return;
  const scenes = document.documentElement.dataset.exported === undefined ? "scenes" : "scenes.html";
  window.location.replace(`${scenes}${search}${hash}`);
})();
