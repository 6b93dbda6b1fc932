/**
 * Which texts the model can read: one that is mostly unknown tokens matches everything of its kind alike, and of another
 * script it knows letters but no words.
 */

/** The share of unknown tokens, or of letters of another script, from which a match means nothing. */
const UNREADABLE = 0.5;
/** Tokens that every text has: the marks of its beginning and end. */
const MARKS = 2;

/**
 * @param {object} api
 * @param {string[]} texts
 * @returns {Promise<Map<string, number>>} each text that cannot be read, with its count of unknown tokens or letters
 */
export async function unreadable(api, texts, signal) {
  const strange = new Map(texts.map((text) => [text, foreign(text)]).filter(([, letters]) => letters));
  const doubtful = [...new Set(texts.filter((text) => /[^\u0000-\u024f]/.test(text) && !strange.has(text)))];
  if (!doubtful.length) return strange;
  const told = await api.post("/v1/encode", { texts: doubtful, purpose: "query" }, signal);
  const found = doubtful.map((text, i) => [text, told.unknown_tokens[i], told.unknown_tokens[i] / Math.max(1, told.token_counts[i] - MARKS)]);
  return new Map([...strange, ...found.filter(([, , share]) => share >= UNREADABLE).map(([text, unknown]) => [text, unknown])]);
}

/** How many letters of another script a text has, where they are at least as many as its Latin ones; else 0. */
function foreign(text) {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const others = letters && (text.match(/(?=\p{L})\P{Script=Latin}/gu)?.length ?? 0);
  return others >= letters * UNREADABLE ? others : 0;
}

/** True while weights must not be shown: before the reveal, and where the question could not be read. */
export function veiled({ state, result }) {
  return !state.revealed || result.unread > 0;
}
