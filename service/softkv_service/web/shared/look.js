/** The page's memory of its look: language, theme, large type. */

/** @typedef {{lang: "en" | "zh", theme: "light" | "dark", large: boolean}} Look */

const STORED = "softkv-look";

/** The look of the page unless the address or an earlier visit says otherwise. @returns {Look} */
function usual() {
  const spoken = navigator.languages.map((language) => language.toLowerCase().split("-")[0]);
  const isDark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  return { lang: spoken.find((language) => language === "en" || language === "zh") === "zh" ? "zh" : "en", theme: isDark ? "dark" : "light", large: false };
}

/**
 * The look of the page: as in the address, else as at the last visit.
 * @param {Map<string, string>} said
 * @returns {Look}
 */
export function preferences(said) {
  const look = { ...usual(), ...stored() };
  const [lang, theme, large] = ["lang", "theme", "large"].map((name) => said.get(name));
  if (lang === "en" || lang === "zh") look.lang = lang;
  if (theme === "light" || theme === "dark") look.theme = theme;
  if (large !== undefined) look.large = large === "1";
  return look;
}

/**
 * The parts of the look that an address names: those that differ from the usual look.
 * @param {Look} look
 * @returns {Partial<Look>}
 */
export function kept(look) {
  const beginning = usual();
  return Object.fromEntries(Object.entries(look).filter(([name, value]) => value !== beginning[/** @type {keyof Look} */ (name)]));
}

/**
 * Read what this browser keeps under a name. The object is empty if there is nothing.
 * @param {string} [name]
 * @returns {Record<string, any>}
 */
export function stored(name = STORED) {
  try {
    return JSON.parse(window.localStorage.getItem(name) ?? "{}");
  } catch (failure) {
    if (failure instanceof SyntaxError || failure instanceof DOMException) return {};
    throw failure;
  }
}

/**
 * Keep the look in this browser, or something else under a name.
 * @param {object} kept
 * @param {string} [name]
 */
export function store(kept, name = STORED) {
  try {
    window.localStorage.setItem(name, JSON.stringify(kept));
  } catch (failure) {
    if (!(failure instanceof DOMException)) throw failure;
  }
}
