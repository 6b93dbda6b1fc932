/** Long addresses, packed: many rows of a learner's own, deflated and written in letters that survive a chat. */

const NAME = "packed";

/** An address → a shorter one that says the same. @param {string} hash @param {string} scene said openly, for whoever reads it */
export async function packed(hash, scene) {
  const bytes = await through(new Blob([hash]), new CompressionStream("deflate-raw"));
  const letters = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `#scene=${scene}&${NAME}=${letters.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** The address that was packed; any other, and what cannot be read, as it is. @param {string} hash */
export async function unpacked(hash) {
  const letters = new URLSearchParams(hash.replace(/^#/, "")).get(NAME);
  if (!letters) return hash;
  try {
    const bytes = Uint8Array.from(atob(letters.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    return new TextDecoder().decode(await through(new Blob([bytes]), new DecompressionStream("deflate-raw")));
  } catch (failure) {
    if (failure instanceof TypeError || failure instanceof DOMException) return hash;
    throw failure;
  }
}

/** @param {Blob} blob @param {CompressionStream | DecompressionStream} stream */
async function through(blob, stream) {
  return new Uint8Array(await new Response(blob.stream().pipeThrough(stream)).arrayBuffer());
}
