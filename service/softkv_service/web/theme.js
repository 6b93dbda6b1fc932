/** A classic script before the style sheets: the theme is there with the first pixel (`shared/look.js` knows the look). */
(() => {
  const { hash } = window.location;
  let [, theme] = /[#&]theme=(light|dark)\b/.exec(hash) ?? [];
  try {
    theme ??= JSON.parse(window.localStorage.getItem("softkv-look") ?? "{}").theme;
  } catch (failure) {
    if (!(failure instanceof SyntaxError || failure instanceof DOMException)) throw failure;
  }
  document.documentElement.dataset.theme = theme ?? (window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
})();
