/** Rows of an exported page, with the vectors of their keys and values and the questions that were put to them. */

/** A condition that a filter may have here: a field of the metadata that is a text. */
const METADATA = /^metadata\.(\w+)$/;

/** A collection, or the rows that a scene brings along. */
export class Memory {
  /** @param {object} recorded as exported @param {{document: Map<string, Float32Array>, query: Map<string, Float32Array>}} vectors */
  constructor({ name, rows, backgrounds, statements, questions }, vectors) {
    Object.assign(this, { name, rows, backgrounds, statements, questions, vectors });
    this.keys = new Set(rows.map((row) => row.key));
  }

  /** Whether other rows have the same keys; their values may be others. */
  isOf(rows) {
    return rows.length === this.rows.length && rows.every((row) => this.keys.has(row.key)) && new Set(rows.map((row) => row.key)).size === this.keys.size;
  }

  /**
   * What is known of a question; null where it, or its filter, was not asked when the page was exported.
   *
   * @returns {?{rows: object[], similarities: Float64Array, known: object, statements: object}}
   */
  asked({ query, filter = null, rows = this.rows }) {
    const told = Object.hasOwn(this.questions, query) ? this.questions[query] : null;
    const statements = this.statements.find((one) => JSON.stringify(one.filter) === JSON.stringify(filter));
    const vector = this.vectors.query.get(query);
    if (!told || !statements || !vector) return null;
    const passing = filter ? rows.filter((row) => row.metadata?.[METADATA.exec(filter.field)[1]] === filter.value) : rows;
    return { rows: passing, similarities: this.similarities(vector, passing), known: { ...told, vector }, statements };
  }

  /** Cosines of a question and the keys of rows. */
  similarities(query, rows = this.rows) {
    return Float64Array.from(rows, ({ key }) => cosine(query, this.vectors.document.get(key)));
  }

  /** What a null key by a name stands on beside a question; short ones may have a background of their own. */
  background(named, { stands_on: place }) {
    return this.backgrounds[place][named] ?? null;
  }

  /** The vector of a row's value, where it is a text that was encoded. */
  valueVector({ value }) {
    const vector = this.vectors.document.get(value);
    return vector && Array.from(vector);
  }
}

function cosine(a, b) {
  let [dot, ofA, ofB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    ofA += a[i] * a[i];
    ofB += b[i] * b[i];
  }
  return dot / Math.sqrt(ofA * ofB);
}
