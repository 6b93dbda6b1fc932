/** Rows in a link, if they are few: JSON, compressed, in the letters of base64 that an address may have. */

/** @typedef {{id: string, key: string, value: unknown, metadata: Record<string, unknown>}} Row */

/** The most characters of rows in a link: longer ones break in some mails and messengers. */
const MOST_CHARACTERS = 6000;
const FORMAT = "deflate-raw";

/**
 * Rows as text for an address; null for too many.
 * @param {Row[]} rows
 * @returns {Promise<?string>}
 */
export async function packed(rows) {
  const lists = rows.map(({ id, key, value, metadata }) => {
    const list = [id, key, value === key ? null : value, metadata];
    return Object.keys(metadata).length ? list : list.slice(0, value === key ? 2 : 3);
  });
  const bytes = await streamed(new TextEncoder().encode(JSON.stringify(lists)), new CompressionStream(FORMAT));
  if ((bytes.length * 4) / 3 > MOST_CHARACTERS) return null;
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}

/**
 * The rows of such a text; null if it cannot be read.
 * @param {string} text
 * @returns {Promise<?Row[]>}
 */
export async function unpacked(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    const lists = JSON.parse(new TextDecoder().decode(await streamed(bytes, new DecompressionStream(FORMAT))));
    return lists.map((/** @type {[string, string, unknown, Record<string, unknown>?]} */ [id, key, value, metadata]) => ({
      id: String(id),
      key: String(key),
      value: value ?? String(key),
      metadata: metadata ?? {},
    }));
  } catch (failure) {
    if (failure instanceof DOMException || failure instanceof SyntaxError || failure instanceof TypeError) return null;
    throw failure;
  }
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {CompressionStream | DecompressionStream} through
 */
async function streamed(bytes, through) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(through)).arrayBuffer());
}
