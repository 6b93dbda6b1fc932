/** The service that tests ask, a collection for each of them, and servers that stand in its way. */

import { createServer, request } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Client } from "../src/index.ts";
import type { Collection, CollectionSettings, DocumentInput } from "../src/index.ts";

const url = process.env["SOFTKV_URL"];
if (!url) throw new Error("SOFTKV_URL is not set: start a service, `softkv serve`, and say where it is");
export const URL_OF_SERVICE = url;

/** What is cleaned up when a test ends. */
interface Context {
  readonly name: string;
  after(cleanUp: () => unknown): void;
}

/** A client of the service. */
export const client = new Client();

let made = 0;

/** A collection of a test's own, dropped when it ends. */
export async function collection<Value = unknown>(
  context: Context,
  settings: CollectionSettings,
  documents: DocumentInput<Value>[] = [],
): Promise<Collection<Value>> {
  const own = client.collection<Value>(`typescript-${process.pid}-${Date.now()}-${made++}`);
  await own.create(settings);
  context.after(() => own.drop());
  if (documents.length) await own.write(documents);
  return own;
}

/** Four documents of width 2, of which `east` is the first axis and `north` the second. */
export const COMPASS: DocumentInput<string>[] = [
  { id: "east", key_vector: [1, 0], value: "sunrise", metadata: { year: 1900, words: ["sun", "warm"] } },
  { id: "north", key_vector: new Float32Array([0, 1]), value: "pole", metadata: { year: 1950, words: ["cold"] } },
  { id: "south", key_vector: new Float64Array([0, -1]), value: "sea", metadata: { year: 2000 } },
  { id: "west", key_vector: [-1, 0], value: "sunset" },
];

/** A server of a test's own; answers its address. */
export async function server(
  context: Context,
  answer: (asked: IncomingMessage, answered: ServerResponse) => void,
): Promise<string> {
  const own = createServer(answer);
  await new Promise<void>((resolve) => own.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    own.closeAllConnections();
    own.close();
  });
  return `http://127.0.0.1:${(own.address() as AddressInfo).port}`;
}

/** Pass a request on to the service, and its answer back. */
export function pass(asked: IncomingMessage, answered: ServerResponse): void {
  const { method, headers, url: path } = asked;
  const onward = request(`${URL_OF_SERVICE}${path}`, { method, headers }, (answer) => {
    answered.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(answered);
  });
  asked.pipe(onward);
}

/** Refuse a request as the service does. */
export function refuse(
  answered: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void {
  const problem = { type: "about:blank", title: "", status, code, detail: `refused with ${code}` };
  answered.writeHead(status, { "Content-Type": "application/problem+json", ...headers }).end(JSON.stringify(problem));
}

/** An address where nobody listens. */
export async function nowhere(): Promise<string> {
  const brief = createServer();
  await new Promise<void>((resolve) => brief.listen(0, "127.0.0.1", resolve));
  const { port } = brief.address() as AddressInfo;
  await new Promise((resolve) => brief.close(resolve));
  return `http://127.0.0.1:${port}`;
}
