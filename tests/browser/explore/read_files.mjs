// Files as the explorer reads them: standard input has a list of them, and what each is made of goes to standard output.
import { readFileSync } from "node:fs";

const { documentOf, guess, keyedBy, noticesAbout, survey } = await import("../../../service/softkv_service/web/explore/upload/columns.js");
const { openTable, UnreadableFile } = await import("../../../service/softkv_service/web/explore/upload/table.js");
const { CsvReader, csvLine, inertText } = await import("../../../service/softkv_service/web/explore/upload/csv.js");
const { reader } = await import("../../../service/softkv_service/web/shared/words.js");
const words = JSON.parse(readFileSync(new URL("../../../service/softkv_service/web/explore/upload.json", import.meta.url), "utf-8"));
const [english, chinese] = [reader(words.en, "en"), reader(words.zh, "zh")];

const { signal } = new AbortController();

async function read({ name, base64, reading, roles, keys, encodes = true }) {
  try {
    const table = await openTable(new File([Buffer.from(base64, "base64")], name), () => [], reading);
    const surveyed = await survey(table, signal);
    const guessed = guess(table, surveyed, encodes);
    const assigned = roles ? { ...guessed, roles, joined: [], proposed: [] } : guessed;
    const mapping = keys ? keyedBy(assigned, keys) : assigned;
    const made = [];
    for await (const rows of table.rows(signal)) for (const row of rows) made.push({ line: row.line, ...documentOf(row, mapping, table.typed) });
    const notices = [...(table.notices ?? []), ...noticesAbout(mapping)].map(({ name, places }) => [english(name, places), chinese(name, places)]);
    return { notices, format: table.format, survey: surveyed, mapping, made };
  } catch (failure) {
    if (failure instanceof UnreadableFile) return { unreadable: failure.flaw };
    throw failure;
  }
}

function records({ pieces, delimiter, quoted }) {
  const reader = new CsvReader(delimiter, quoted);
  return [...pieces.flatMap((piece) => reader.read(piece)), ...reader.end()];
}

const { files = [], texts = [], cells = [], shown = [] } = JSON.parse(readFileSync(0, "utf-8"));
process.stdout.write(JSON.stringify({ files: await Promise.all(files.map(read)), records: texts.map(records), lines: cells.map(csvLine), inert: shown.map(inertText) }));
