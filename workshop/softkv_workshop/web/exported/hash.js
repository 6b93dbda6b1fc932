/**
 * The 64-bit hash xxh3 of a text, by which a service orders the ids of a sample: `service/softkv_service/storage/checksums.py`.
 * So a page measures the same sample of its rows. The algorithm is that of https://github.com/Cyan4973/xxHash.
 */

const SECRET = Uint8Array.from(
  "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e".match(
    /../g,
  ) ?? [],
  (byte) => parseInt(byte, 16),
);
const SECRETS = new DataView(SECRET.buffer);
const [A, B, C, D, E] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n];
const [P, Q, R] = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn];
const [MIX_1, MIX_2] = [0x165667919e3779f9n, 0x9fb21c651e98df25n];
const SHORT = 128;
const MIDDLE = 240;
const STRIPE = 64;
/** Stripes of a block: as many as the secret has places for. */
const STRIPES = (SECRET.length - STRIPE) / 8;

/**
 * @param {string} text
 * @returns {bigint} without a sign
 */
export function hash(text) {
  const bytes = new TextEncoder().encode(text);
  const view = new DataView(bytes.buffer);
  if (bytes.length <= 16) return tiny(view, bytes);
  if (bytes.length <= MIDDLE) return middle(view);
  return long(view);
}

/**
 * @param {DataView} view
 * @param {Uint8Array} bytes
 */
function tiny(view, bytes) {
  const n = bytes.length;
  if (n > 8) {
    const low = secret(24) ^ secret(32) ^ word(view, 0);
    const high = secret(40) ^ secret(48) ^ word(view, n - 8);
    return avalanche(cut(BigInt(n) + swapped(low) + high + folded(low, high)));
  }
  if (n >= 4) {
    const both = BigInt(view.getUint32(n - 4, true)) + (BigInt(view.getUint32(0, true)) << 32n);
    let mixed = both ^ secret(8) ^ secret(16);
    mixed = cut((mixed ^ turned(mixed, 49n) ^ turned(mixed, 24n)) * MIX_2);
    mixed = cut((mixed ^ ((mixed >> 35n) + BigInt(n))) * MIX_2);
    return mixed ^ (mixed >> 28n);
  }
  if (n) {
    const both = ((bytes[0] << 16) | (bytes[n >> 1] << 24) | bytes[n - 1] | (n << 8)) >>> 0;
    return avalancheOld(BigInt(both) ^ BigInt((SECRETS.getUint32(0, true) ^ SECRETS.getUint32(4, true)) >>> 0));
  }
  return avalancheOld(secret(56) ^ secret(64));
}

/** @param {DataView} view of 17 to 240 bytes */
function middle(view) {
  const n = view.byteLength;
  let sum = BigInt(n) * A;
  if (n <= SHORT) {
    for (let i = (n - 1) >> 5; i >= 0; i--) sum += mixed16(view, 16 * i, 32 * i) + mixed16(view, n - 16 * (i + 1), 32 * i + 16);
    return avalanche(cut(sum));
  }
  for (let i = 0; i < 8; i++) sum += mixed16(view, 16 * i, 16 * i);
  sum = avalanche(cut(sum));
  for (let i = 8; i < n >> 4; i++) sum += mixed16(view, 16 * i, 16 * (i - 8) + 3);
  return avalanche(cut(sum + mixed16(view, n - 16, 136 - 17)));
}

/** @param {DataView} view of more than 240 bytes */
function long(view) {
  const n = view.byteLength;
  const sums = [R, A, B, C, D, Q, E, P];
  const add = (/** @type {number} */ at, /** @type {number} */ from) => {
    for (let i = 0; i < 8; i++) {
      const value = word(view, at + 8 * i);
      const keyed = value ^ secret(from + 8 * i);
      sums[i ^ 1] = cut(sums[i ^ 1] + value);
      sums[i] = cut(sums[i] + (keyed & 0xffffffffn) * (keyed >> 32n));
    }
  };
  const last = Math.floor((n - 1) / STRIPE);
  for (let i = 0; i < last; i++) {
    add(i * STRIPE, 8 * (i % STRIPES));
    if (i % STRIPES < STRIPES - 1) continue;
    for (let j = 0; j < 8; j++) sums[j] = cut((sums[j] ^ (sums[j] >> 47n) ^ secret(SECRET.length - STRIPE + 8 * j)) * P);
  }
  add(n - STRIPE, SECRET.length - STRIPE - 7);
  let sum = BigInt(n) * A;
  for (let i = 0; i < 4; i++) sum += folded(sums[2 * i] ^ secret(11 + 16 * i), sums[2 * i + 1] ^ secret(19 + 16 * i));
  return avalanche(cut(sum));
}

/**
 * @param {DataView} view
 * @param {number} at
 * @param {number} from
 */
function mixed16(view, at, from) {
  return folded(word(view, at) ^ secret(from), word(view, at + 8) ^ secret(from + 8));
}

/**
 * The two halves of a product of 128 bits, as one.
 * @param {bigint} a
 * @param {bigint} b
 */
function folded(a, b) {
  const product = a * b;
  return cut(product) ^ (product >> 64n);
}

/** @param {bigint} sum */
function avalanche(sum) {
  const mixed = cut((sum ^ (sum >> 37n)) * MIX_1);
  return mixed ^ (mixed >> 32n);
}

/** The one of xxh64. @param {bigint} sum */
function avalancheOld(sum) {
  let mixed = cut((sum ^ (sum >> 33n)) * B);
  mixed = cut((mixed ^ (mixed >> 29n)) * C);
  return mixed ^ (mixed >> 32n);
}

/** @param {bigint} number */
function cut(number) {
  return BigInt.asUintN(64, number);
}

/**
 * @param {bigint} number
 * @param {bigint} by
 */
function turned(number, by) {
  return cut(number << by) | (number >> (64n - by));
}

/** Reverse the bytes. @param {bigint} number */
function swapped(number) {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, number, true);
  return view.getBigUint64(0);
}

/**
 * @param {DataView} view
 * @param {number} at
 */
function word(view, at) {
  return view.getBigUint64(at, true);
}

/** @param {number} at */
function secret(at) {
  return SECRETS.getBigUint64(at, true);
}

/** The places of rows in the order in which a service takes a sample of them: by the hash of their ids. @param {{id: string}[]} rows */
export function ordered(rows) {
  const hashes = rows.map(({ id }) => hash(id));
  return rows.map((_, i) => i).sort((a, b) => (hashes[a] < hashes[b] ? -1 : 1));
}
