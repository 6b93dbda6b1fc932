/**
 * The schema of Arrow that pyarrow writes into a Parquet file: it has durations and zones, which Parquet lacks.
 *
 * The schema is in base64. It is a message of FlatBuffers, whose tables have the offsets of their fields by number.
 */

/** @typedef {{zone?: string, perSecond?: number}} ArrowType `perSecond`: the units of a duration in a second */

const [TIMESTAMP, DURATION] = [10, 18];
/** Units in a second: seconds, milliseconds, microseconds and nanoseconds. */
const PER_SECOND = [1, 1e3, 1e6, 1e9];
const MILLISECONDS = 1;

/** The types of a schema's columns; {} for a type that Parquet has, too. @param {string} [schema] in base64 @returns {ArrowType[]} */
export function arrowTypes(schema) {
  if (!schema) return [];
  const bytes = Uint8Array.from(atob(schema), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  /** The place of a table's field; undefined if it is left out. @param {number} table @param {number} field */
  const at = (table, field) => {
    const fields = table - view.getInt32(table, true);
    const offset = 4 + 2 * field < view.getUint16(fields, true) ? view.getUint16(fields + 4 + 2 * field, true) : 0;
    return offset ? table + offset : undefined;
  };
  /** Follow an offset. @param {number} place */
  const follow = (place) => place + view.getUint32(place, true);
  const begin = view.getUint32(0, true) === 0xffffffff ? 8 : 4; // behind the length of the message
  const header = at(follow(begin), 2);
  const columns = header === undefined ? undefined : at(follow(header), 1);
  if (columns === undefined) return [];
  const list = follow(columns);
  return Array.from({ length: view.getUint32(list, true) }, (_, i) => {
    const column = follow(list + 4 + 4 * i);
    const [kind, type] = [at(column, 2), at(column, 3)];
    if (kind === undefined || type === undefined) return {};
    const unit = at(follow(type), 0);
    if (view.getUint8(kind) === DURATION) return { perSecond: PER_SECOND[unit === undefined ? MILLISECONDS : view.getInt16(unit, true)] };
    const zone = view.getUint8(kind) === TIMESTAMP ? at(follow(type), 1) : undefined;
    if (zone === undefined) return {};
    const text = follow(zone);
    return { zone: new TextDecoder().decode(bytes.subarray(text + 4, text + 4 + view.getUint32(text, true))) };
  });
}
