/** A classic script before all others: the theme of the address, else of the reader's system, before anything is drawn. */
(() => {
  const named = new URLSearchParams(window.location.search).get("theme");
  const isDark = named ? named === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
})();
