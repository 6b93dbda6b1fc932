/**
 * A classic script before all others, for addresses that the page had before. An address of a scene,
 * `#scene=NAME&…`, leads to the chapter or the picture about the same idea, and keeps the settings that it still has.
 *
 * It also sends visitors to the explorer if they chose it, and remembers a link to learn (`shared/purpose.js`).
 */
(() => {
  const isExported = document.documentElement.dataset.exported !== undefined;
  const [STORY, DEEPER] = isExported ? ["index.html", "deeper.html"] : ["./", "deeper"];
  /** @type {Record<string, string | undefined>} the chapter or the picture of each scene */
  const CHAPTERS = {
    videos: "key-is-not-value",
    unicode: "who-shares",
    share: "who-shares",
    space: "who-shares",
    nothing: "nothing-fits",
    filter: "nothing-fits",
    sure: "nothing-fits",
    steps: "in-numbers",
    encoder: "inside-a-model",
  };
  /** @type {Record<string, string | undefined>} */
  const PICTURES = {
    guess: "four",
    regression: "regression",
    million: "certificate",
    scores: "similarities",
    lowrank: "low-rank",
    photo: "patches",
    hopfield: "patches",
    vision: "captions",
    learning: "networks",
    pairs: "pairs",
  };
  /** Settings by their names in a scene. @type {Record<string, string | undefined>} */
  const NAMES = { projector: "large", query: "q" };
  const LOOK = ["lang", "theme", "projector"];

  /** Lead on from a scene, if the address names one. */
  async function lead() {
    const { hash, search, pathname } = window.location;
    const said = new URLSearchParams(hash.slice(1));
    if (said.has("scene") || said.has("packed")) {
      const whole = said.has("packed") ? await unpacked(said) : said;
      window.location.replace(addressOf(whole, search));
    } else if (pathname.endsWith("/scenes.html")) window.location.replace(`${DEEPER}${search}${hash}`);
  }

  /** @param {URLSearchParams} said @param {string} search */
  function addressOf(said, search) {
    const scene = said.get("scene") ?? "";
    const picture = PICTURES[scene];
    const taken = [...said].filter(([name]) => name !== "scene" && (picture || LOOK.includes(name)));
    const parts = taken.map(([name, value]) => `&${NAMES[name] ?? name}=${encodeURIComponent(value)}`).join("");
    return picture ? `${DEEPER}${search}#${picture}${parts}` : `${STORY}${search}#${CHAPTERS[scene] ?? "hard-and-soft"}${parts}`;
  }

  /** A long address was deflated, and written in letters that survive a chat. @param {URLSearchParams} said @returns {Promise<URLSearchParams>} as it is if it cannot be read */
  async function unpacked(said) {
    try {
      const letters = (said.get("packed") ?? "").replaceAll("-", "+").replaceAll("_", "/");
      const bytes = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
      return new URLSearchParams((await new Response(stream).text()).replace(/^#/, ""));
    } catch (failure) {
      if (failure instanceof TypeError || failure instanceof DOMException) return said;
      throw failure;
    }
  }

  /** Remember the visitor's purpose, and lead to the explorer if that was chosen. */
  function choose() {
    const { hash, search, pathname } = window.location;
    try {
      if (search === "?learn") {
        window.localStorage.setItem("softkv-purpose", "learn");
        window.history.replaceState(null, "", pathname + hash);
      } else if (!search && !hash && window.localStorage.getItem("softkv-purpose") === "explore") window.location.replace("explore");
    } catch (failure) {
      if (!(failure instanceof DOMException)) throw failure; // a browser that keeps nothing
    }
  }

  lead();
  window.addEventListener("hashchange", lead);
  if (!isExported && !window.location.pathname.endsWith("/deeper")) choose();
})();
