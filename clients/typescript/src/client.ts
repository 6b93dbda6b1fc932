/** The client: one service, its collections, and what it does without one. */

import { attendArrays, embed, encode, trace } from "./calls/arrays.ts";
import type {
  AttentionRequest,
  Attended,
  Embeddings,
  EncodeOptions,
  Encoded,
  Trace,
  TraceOptions,
} from "./calls/arrays.ts";
import { compare } from "./calls/asking.ts";
import type { CompareOptions, Row } from "./calls/asking.ts";
import type { Comparison } from "./calls/answer.ts";
import { Collection } from "./collection.ts";
import type { CollectionInfo } from "./collection.ts";
import { TimedOut, Unavailable } from "./errors.ts";
import { events } from "./wire/events.ts";
import type { Told } from "./wire/events.ts";
import type {
  SchemaCollectionList,
  SchemaEmbeddingsRequest,
  SchemaModel,
  SchemaModelList,
  SchemaReadiness,
  SchemaServiceAnswer,
} from "./generated/api.ts";
import { Pages } from "./pages.ts";
import { pause } from "./wire/retrying.ts";
import { Sender, WRITE_MS } from "./wire/sending.ts";
import type { Fetch, How, Known } from "./wire/sending.ts";
import { address, variable } from "./wire/settings.ts";
import { Lab, Rooms } from "./calls/teaching.ts";

/** How a client reaches its service; what is left out is said beside each. */
export interface ClientOptions {
  /** Of the service; left out, `SOFTKV_URL`, or http://127.0.0.1:8000. "" is the origin of the page it runs in. */
  readonly url?: string | URL | undefined;
  /** To call it with, or what says it, asked for each call; left out, `SOFTKV_KEY`, or none. */
  readonly key?: string | undefined | (() => string | undefined);
  /** Milliseconds that each try may take; left out, a minute for questions, ten for writes. */
  readonly timeout?: number | undefined;
  /** How often a call is sent again at most, where that is safe; 2 if left out. */
  readonly retries?: number | undefined;
  /** What sends requests in place of the platform's `fetch`. */
  readonly fetch?: Fetch | undefined;
}

/** How one call of any kind is sent. */
export interface CallOptions extends How {
  /** Whether it may be sent again where nobody knows what became of it; a GET may, if left out. */
  readonly repeatable?: boolean | undefined;
  /** Whether it goes with an Idempotency-Key, so that the service does it once however often it is sent. */
  readonly once?: boolean | undefined;
}

/** What a service says of itself. */
export type ServiceInfo = SchemaServiceAnswer;
/** Whether everything is loaded, what still loads, and what could not be. */
export type Readiness = SchemaReadiness;
/** A model of the service's. */
export type Model = SchemaModel;

const READY_MS = 900_000;
const LOOK_MS = 100;

/** A service. */
export class Client {
  /** Rooms: a class's shared memory, by its code. */
  readonly rooms: Rooms;
  /** The lab: small models are trained while one listens, and then asked. */
  readonly lab: Lab;
  readonly #sender: Sender;
  readonly #options: ClientOptions;
  readonly #known: Known;

  /**
   * @param known what is known of the service already, for `withOptions`
   * @throws Invalid: the address is none
   */
  constructor(options: ClientOptions = {}, known: Known = {}) {
    const { url, key, timeout, retries = 2, fetch = (to, init) => globalThis.fetch(to, init) } = options;
    const own = { url: address(url), key: key ?? variable("SOFTKV_KEY"), timeout, retries, fetch };
    this.#sender = new Sender(own, known);
    this.#options = options;
    this.#known = known;
    this.rooms = new Rooms(this.#sender);
    this.lab = new Lab(this.#sender);
  }

  /**
   * A collection by its name; whether it is there is not asked.
   *
   * @throws Invalid: no collection can be called so
   */
  collection<Value = unknown>(name: string): Collection<Value> {
    return new Collection(name, this.#sender);
  }

  /** A client with other options; what is left out stays. */
  withOptions(options: Omit<ClientOptions, "url">): Client {
    return new Client({ ...this.#options, ...options }, this.#known);
  }

  /** Any call → the JSON that it is answered with; null of an answer without one. */
  call<T = unknown>(method: string, path: string, body?: unknown, how: CallOptions = {}): Promise<T> {
    const { repeatable = method === "GET", once = false, ...others } = how;
    const limit = once ? WRITE_MS : undefined;
    return this.#sender.send<T>({ method, path, body, repeatable, once, limit }, others);
  }

  /** What the service tells, event by event; sent when it is gone through, a POST where it has a body. */
  events<Data = unknown>(
    path: string,
    options: How & { readonly body?: unknown } = {},
  ): AsyncGenerator<Told<Data>, void, undefined> {
    return events<Data>(this.#sender, path, options);
  }

  /** Every collection, by name; those that begin with `prefix`. `page` is how many come at a time. */
  collections(options: { readonly prefix?: string; readonly page?: number } = {}, how?: How): Pages<CollectionInfo> {
    const { prefix = "", page = 1000 } = options;
    const ask = async (cursor: string | undefined, limit: number) => {
      const query = new URLSearchParams({ prefix, limit: `${limit}`, ...(cursor !== undefined && { cursor }) });
      const answer = await this.#sender.get<SchemaCollectionList>(`/v1/collections?${query}`, how);
      return { items: answer.collections, next_cursor: answer.next_cursor };
    };
    return new Pages({ ask, limit: page });
  }

  /** Its version, its encoder, whether it wants keys, every limit by name, and what holds its keys. */
  info(how?: How): Promise<ServiceInfo> {
    return this.#sender.get("/v1", how);
  }

  /** What this client's key allows. */
  access(how?: How): Promise<"read" | "write"> {
    return this.#sender.get("/v1/collections?limit=0", how, (list: SchemaCollectionList) => list.access);
  }

  /** The models that encode and trace. */
  models(how?: How): Promise<Model[]> {
    return this.#sender.get("/v1/models", how, (list: SchemaModelList) => list.data);
  }

  /** One of them. */
  model(id: string, how?: How): Promise<Model> {
    return this.#sender.get(`/v1/models/${encodeURIComponent(id)}`, how);
  }

  /** Whether the process answers. */
  alive(how?: How): Promise<boolean> {
    return this.#sender.get("/livez", how, (liveness) => liveness.status === "alive");
  }

  /** Whether everything is loaded, and what still loads; it answers before, only slower. */
  ready(how?: How): Promise<Readiness> {
    return this.#sender.get("/readyz", how, undefined, 503);
  }

  /** What it has counted, in the text that Prometheus reads. */
  metrics(how?: How): Promise<string> {
    return this.#sender.send({ method: "GET", path: "/metrics", isText: true, repeatable: true }, how);
  }

  /**
   * Wait until everything is loaded.
   *
   * @param milliseconds how long at most
   * @throws Unavailable: something could not be loaded, or is damaged
   * @throws TimedOut: it still loads
   */
  async waitUntilReady(milliseconds = READY_MS, how?: How): Promise<Readiness> {
    const until = Date.now() + milliseconds;
    for (;;) {
      const found = await this.ready(how);
      const { loading, failed } = found;
      if (failed.length) throw new Unavailable(`the service does not get ready: ${failed.join("; ")}`, { status: 503 });
      if (found.status === "ready") return found;
      if (Date.now() > until) throw new TimedOut(`the service still loads ${loading.join(", ")}: wait longer`, true);
      await pause(LOOK_MS, how?.signal);
    }
  }

  /** Texts of any number → `embeddings`, a Float32Array each, with `token_counts` and `truncated` beside them. */
  encode(texts: readonly string[], options: EncodeOptions = {}, how?: How): Promise<Encoded> {
    return encode(this.#sender, texts, options, how);
  }

  /** Follow a text, and perhaps a second one behind it, through a model; docs/encoding.md tells of each field. */
  trace(text: string, options: TraceOptions = {}, how?: How): Promise<Trace> {
    return trace(this.#sender, text, options, how);
  }

  /** Attention on arrays of your own; docs/encoding.md tells of each field. */
  attend(request: AttentionRequest, how?: How): Promise<Attended> {
    return attendArrays(this.#sender, request, how);
  }

  /** Vectors as OpenAI's clients ask for them; `encode` takes more texts and says more of each. */
  embed(request: Omit<SchemaEmbeddingsRequest, "encoding_format">, how?: How): Promise<Embeddings> {
    return embed(this.#sender, request, how);
  }

  /** Ask in four ways of rows that come with the question. */
  compare<Value = unknown>(
    query: string,
    rows: Iterable<Row>,
    options: Omit<CompareOptions, "filter"> = {},
    how?: How,
  ): Promise<Comparison<Value>> {
    return compare(this.#sender, "/v1", { query, ...options, rows: [...rows] }, how);
  }
}
