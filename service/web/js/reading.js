/** Which texts the model can read: a text that is mostly unknown tokens matches everything of its kind alike. */

/** The share of unknown tokens from which a match means nothing. */
const UNREADABLE = 0.5;
/** Tokens that every text has: the marks of its beginning and end. */
const MARKS = 2;

/**
 * @param {object} api
 * @param {string[]} texts
 * @returns {Promise<Map<string, number>>} each text that cannot be read, with its count of unknown tokens
 */
export async function unreadable(api, texts, signal) {
  const doubtful = [...new Set(texts.filter((text) => /[^\u0000-\u024f]/.test(text)))];
  if (!doubtful.length) return new Map();
  const told = await api.post("/v1/encode", { texts: doubtful, purpose: "query" }, signal);
  const found = doubtful.map((text, i) => [text, told.unknown_tokens[i], told.unknown_tokens[i] / Math.max(1, told.token_counts[i] - MARKS)]);
  return new Map(found.filter(([, , share]) => share >= UNREADABLE).map(([text, unknown]) => [text, unknown]));
}

/** True while weights must not be shown: before a guess, and where the question could not be read. */
export function veiled({ state, result }) {
  return state.guess === "" || result.unread > 0;
}
