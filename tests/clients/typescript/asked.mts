// What the TypeScript client makes of cases: reads them from standard input, asks one after another, writes what came.
import { text } from "node:stream/consumers";
import { stdin, stdout } from "node:process";
import { Client, Report, SoftkvError, type Tensor } from "../../../clients/typescript/src/index.ts";

interface Case {
  readonly name: string;
  readonly call: string;
  readonly collection?: string;
  readonly arguments: Record<string, unknown>;
}

type Method = (...given: unknown[]) => unknown;

// Arguments that stand before the others, in the words of the wire.
const FIRST: Readonly<Record<string, readonly string[]>> = {
  attend: ["query", "queries"], sweep: ["query", "temperatures"], compare: ["query", "rows"], put: ["id"],
  calibrate: ["questions"],
  encode: ["texts"], get: ["id"], patch: ["id"], remove: ["id"], exists: ["id"], get_many: ["ids"],
  write: ["documents"], upsert: ["documents"], values: ["field"], trace: ["text"],
};
// Whose arguments are no more than these, or none.
const NOTHING = new Set(["info", "drop", "models", "exists", "remove", "alias", "put_alias", "remove_alias"]);
const MODES: Readonly<Record<string, string>> = { upsert: "replace", skip: "skip", create: "fail" };

/** What came: an answer or an error. */
async function ask(client: Client, { call, collection, arguments: given }: Case): Promise<object> {
  try {
    const target: object = collection === undefined ? client : client.collection(collection);
    const method = call.replace(/_(.)/, (_, letter: string) => letter.toUpperCase());
    const came = await ((target as Record<string, Method>)[method] as Method).apply(target, placed(call, given, target));
    return { answer: plain(isAsync(came) ? await all(came) : came instanceof Report ? named(came) : came) };
  } catch (error) {
    if (!(error instanceof SoftkvError)) throw error;
    const { name, code, status, detail, errors } = error;
    return { error: { class: name, code, status, detail, errors } };
  }
}

/** The arguments in the places where the client takes them. */
function placed(call: string, given: Record<string, unknown>, target: object): unknown[] {
  if (NOTHING.has(call)) return Object.values(given);
  if (call === "attend" && target instanceof Client) return [given];
  const { patch, mode, exist_ok: existOk, ...others } = given;
  const first = (FIRST[call] ?? []).filter((name) => name in others).map((name) => others[name]);
  const rest = Object.fromEntries(Object.entries(others).filter(([name]) => !FIRST[call]?.includes(name)));
  if (call === "update") return [rest, patch];
  const { limit, ...which } = rest;
  if (call === "find" && limit !== undefined) return [{ ...which, page: limit }];
  if (typeof mode === "string") return [...first, { ...rest, onConflict: MODES[mode] }];
  return [...first, existOk === undefined ? rest : { ...rest, existOk }];
}

function isAsync(came: unknown): came is AsyncIterable<unknown> {
  return came instanceof Object && Symbol.asyncIterator in came;
}

async function all<Item>(pages: AsyncIterable<Item>): Promise<Item[]> {
  const items = [];
  for await (const each of pages) items.push(each);
  return items;
}

/** A report without the name of its upload, which is another each time. */
function named({ id: _, ...report }: Report): object {
  return report;
}

/** Arrays of float32 as lists, and what is undefined as null. */
function plain(came: unknown): unknown {
  return JSON.parse(JSON.stringify(came ?? null, (_, each: unknown) => {
    if (isTensor(each)) return nested(each.data, each.shape);
    return each instanceof Float32Array ? [...each] : each;
  }));
}

function isTensor(given: unknown): given is Tensor {
  return given instanceof Object && "data" in given && given.data instanceof Float32Array;
}

/** Numbers in the order of rows as lists of lists. */
function nested(numbers: Float32Array, [first, ...others]: readonly number[]): unknown {
  if (first === undefined) return numbers[0];
  const each = numbers.length / first;
  return Array.from({ length: first }, (_, at) => nested(numbers.subarray(at * each, (at + 1) * each), others));
}

const { url, cases } = JSON.parse(await text(stdin)) as { url: string; cases: Case[] };
const client = new Client({ url });
const came: object[] = [];
for (const each of cases) came.push(await ask(client, each));
stdout.write(JSON.stringify(came));
