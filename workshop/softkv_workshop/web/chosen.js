/** A classic script before all others: it leads to the explorer if the visitor chose that, and remembers a link to learn (`shared/purpose.js`). */
(() => {
  if (document.documentElement.dataset.exported !== undefined) return;
  const { hash, search, pathname } = window.location;
  try {
    if (search === "?learn") {
      window.localStorage.setItem("softkv-purpose", "learn");
      window.history.replaceState(null, "", pathname + hash);
    } else if (!search && !hash && window.localStorage.getItem("softkv-purpose") === "explore") window.location.replace("explore");
  } catch (failure) {
    if (!(failure instanceof DOMException)) throw failure; // a browser that keeps nothing
  }
})();
