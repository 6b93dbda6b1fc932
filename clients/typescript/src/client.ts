/** The client: one service, its collections, and its calls without a collection. */

import { attendArrays, embed, encode, rerank, score, trace } from "./calls/arrays.ts";
import type {
  AttentionRequest,
  Attended,
  Embeddings,
  EmbeddingsRequest,
  EncodeOptions,
  Encoded,
  RankedDocument,
  RerankOptions,
  Trace,
  TraceOptions,
} from "./calls/arrays.ts";
import { compare } from "./calls/asking.ts";
import type { ComparedQuery, CompareOptions, Row } from "./calls/asking.ts";
import type { Comparison } from "./calls/answer.ts";
import { Collection } from "./collection.ts";
import type { CollectionInfo } from "./collection.ts";
import { TimedOut, Unavailable } from "./errors.ts";
import { events } from "./wire/events.ts";
import type { ServiceEvent } from "./wire/events.ts";
import type {
  SchemaAliasAnswer,
  SchemaAliasList,
  SchemaCollectionList,
  SchemaEncoderAnswer,
  SchemaEncoderList,
  SchemaModel,
  SchemaModelList,
  SchemaReadiness,
  SchemaRerankerAnswer,
  SchemaScoreRequest,
  SchemaServiceAnswer,
  SchemaSlowRequestAnswer,
  SchemaSlowRequestList,
} from "./generated/api.ts";
import { Pages } from "./pages.ts";
import { aliasPath } from "./calls/place.ts";
import { pause } from "./wire/retrying.ts";
import { Sender, WRITE_MS } from "./wire/sending.ts";
import type { Fetch, How, Known } from "./wire/sending.ts";
import { address, variable } from "./wire/settings.ts";
import { table } from "./calls/tables.ts";
import type { TableLine, TableOptions } from "./calls/tables.ts";

/** The options of a client. */
export interface ClientOptions {
  /** The URL of the service; left out, `SOFTKV_URL` or http://127.0.0.1:8000. "" is the origin of the current page. */
  readonly url?: string | URL | undefined;
  /** The key, or a function that returns it for each call; left out, `SOFTKV_KEY`, or no key. */
  readonly key?: string | undefined | (() => string | undefined);
  /** Milliseconds that each try may take; left out, a minute for questions, ten minutes for writes. */
  readonly timeout?: number | undefined;
  /** The maximum number of further tries of a call, if they are safe; left out, 2. */
  readonly retries?: number | undefined;
  /** The function that sends requests, instead of the platform's `fetch`. */
  readonly fetch?: Fetch | undefined;
}

/** The options of `call`. */
export interface CallOptions extends How {
  /** Whether the call may be sent again if its result is unknown; left out, only a GET. */
  readonly repeatable?: boolean | undefined;
  /** Whether to send an Idempotency-Key, so that the service does the call once however often it arrives. */
  readonly once?: boolean | undefined;
}

/** An alias, and the name of the collection for which it stands. */
export type Alias = SchemaAliasAnswer;
/** The version, limits and further facts of a service. */
export type ServiceInfo = SchemaServiceAnswer;
/** The parts of a service that are still loading or have failed. */
export type Readiness = SchemaReadiness;
/** A request that took long, without its path and its content. */
export type SlowRequest = SchemaSlowRequestAnswer;
/** An encoder of the service, with its state and memory. */
export type Encoder = SchemaEncoderAnswer;
/** A reranker of the service, with its state and memory. */
export type Reranker = SchemaRerankerAnswer;
/** A model of the service. */
export type Model = SchemaModel;

const READY_MS = 900_000;
const LOOK_MS = 100;

/** A client of one service. */
export class Client {
  readonly #sender: Sender;
  readonly #options: ClientOptions;
  readonly #known: Known;

  /**
   * @param known facts about the service that are known already, for `withOptions`
   * @throws Invalid: the URL is invalid
   */
  constructor(options: ClientOptions = {}, known: Known = {}) {
    const { url, key, timeout, retries = 2, fetch = (to, init) => globalThis.fetch(to, init) } = options;
    const senderOptions = { url: address(url), key: key ?? variable("SOFTKV_KEY"), timeout, retries, fetch };
    this.#sender = new Sender(senderOptions, known);
    this.#options = options;
    this.#known = known;
  }

  /**
   * Return a collection by its name, without asking the service whether it exists.
   *
   * @throws Invalid: the name is invalid
   */
  collection<Value = unknown>(name: string): Collection<Value> {
    return new Collection(name, this.#sender);
  }

  /** Return a client with other options; options left out stay the same. */
  withOptions(options: Omit<ClientOptions, "url">): Client {
    return new Client({ ...this.#options, ...options }, this.#known);
  }

  /** Send any call; return the JSON of its answer, or null for an empty answer. */
  call<T = unknown>(method: string, path: string, body?: unknown, how: CallOptions = {}): Promise<T> {
    const { repeatable = method === "GET", once = false, ...rest } = how;
    const limit = once ? WRITE_MS : undefined;
    return this.#sender.send<T>({ method, path, body, repeatable, once, limit }, rest);
  }

  /** Yield the events of a call, which is sent when iteration begins: a POST if it has a body, otherwise a GET. */
  events<Data = unknown>(
    path: string,
    options: How & { readonly body?: unknown } = {},
  ): AsyncGenerator<ServiceEvent<Data>, void, undefined> {
    return events<Data>(this.#sender, path, options);
  }

  /** Return the collections by name, those that begin with `prefix`; `page` is the number per page. */
  collections(options: { readonly prefix?: string; readonly page?: number } = {}, how?: How): Pages<CollectionInfo> {
    return this.#list("/v1/collections", (list: SchemaCollectionList) => list.collections, options, how);
  }

  /** Return the aliases by name, those that begin with `prefix`; `page` is the number per page. */
  aliases(options: { readonly prefix?: string; readonly page?: number } = {}, how?: How): Pages<Alias> {
    return this.#list("/v1/aliases", (list: SchemaAliasList) => list.aliases, options, how);
  }

  /** Return an alias, with the collection for which it stands. */
  async alias(alias: string, how?: How): Promise<Alias> {
    return this.#sender.get(aliasPath(alias), how);
  }

  /**
   * Create an alias, or move it to another collection at one instant.
   *
   * An alias stands for its collection wherever a collection is named, as in `client.collection("current")`.
   *
   * @throws NotFound: there is no such collection
   * @throws Conflict: a collection has the name of the alias
   */
  async putAlias(alias: string, collection: string, how?: How): Promise<Alias> {
    return this.#writeAlias("PUT", alias, { collection }, how);
  }

  /** Delete an alias; its collection stays. */
  async removeAlias(alias: string, how?: How): Promise<void> {
    await this.#writeAlias("DELETE", alias, undefined, how);
  }

  #writeAlias<T>(method: string, alias: string, body: unknown, how?: How): Promise<T> {
    return this.#sender.send({ method, path: aliasPath(alias), body, once: true, limit: WRITE_MS }, how);
  }

  #list<List extends { readonly next_cursor: string | null }, Item>(
    path: string,
    read: (list: List) => Item[],
    options: { readonly prefix?: string; readonly page?: number },
    how?: How,
  ): Pages<Item> {
    const { prefix = "", page = 1000 } = options;
    const ask = async (cursor: string | undefined, limit: number) => {
      const query = new URLSearchParams({ prefix, limit: `${limit}`, ...(cursor !== undefined && { cursor }) });
      const list = await this.#sender.get<List>(`${path}?${query}`, how);
      return { items: read(list), next_cursor: list.next_cursor };
    };
    return new Pages({ ask, limit: page });
  }

  /** Return the version, the encoder, whether calls need a key, all limits by name, and the servers with keys. */
  info(how?: How): Promise<ServiceInfo> {
    return this.#sender.get("/v1", how);
  }

  /** Return the access that the key of this client allows. */
  access(how?: How): Promise<"read" | "feedback" | "write"> {
    return this.#sender.get("/v1/collections?limit=0", how, (list: SchemaCollectionList) => list.access);
  }

  /** Return the models that encode and trace. */
  models(how?: How): Promise<Model[]> {
    return this.#sender.get("/v1/models", how, (list: SchemaModelList) => list.data);
  }

  /** Return one model. */
  model(id: string, how?: How): Promise<Model> {
    return this.#sender.get(`/v1/models/${encodeURIComponent(id)}`, how);
  }

  /** Return the encoders, with their state and memory. */
  encoders(how?: How): Promise<Encoder[]> {
    return this.#sender.get("/v1/encoders", how, (list: SchemaEncoderList) => list.encoders);
  }

  /** Return the rerankers, with their state and memory; empty without any. */
  rerankers(how?: How): Promise<Reranker[]> {
    return this.#sender.get("/v1/encoders", how, (list: SchemaEncoderList) => list.rerankers);
  }

  /** Release the memory of an encoder; the next text that needs it loads it again. */
  unloadEncoder(name: string, how?: How): Promise<Encoder> {
    const path = `/v1/encoders/${encodeURIComponent(name)}/memory`;
    return this.#sender.send({ method: "DELETE", path, repeatable: true }, how);
  }

  /** Return whether the process answers. */
  alive(how?: How): Promise<boolean> {
    return this.#sender.get("/livez", how, (liveness) => liveness.status === "alive");
  }

  /** Return whether everything is loaded, and the parts that are loading. The service answers before, only slower. */
  ready(how?: How): Promise<Readiness> {
    return this.#sender.get("/readyz", how, undefined, 503);
  }

  /** Return the slowest requests since the service's start, the slowest first; at most 100. */
  slowRequests(how?: How): Promise<SlowRequest[]> {
    return this.#sender.get("/v1/service/slow", how, (list: SchemaSlowRequestList) => list.requests);
  }

  /** Return the metrics, in the text format of Prometheus. */
  metrics(how?: How): Promise<string> {
    return this.#sender.send({ method: "GET", path: "/metrics", isText: true, repeatable: true }, how);
  }

  /**
   * Wait until everything is loaded.
   *
   * @param milliseconds the maximum time
   * @throws Unavailable: a part could not be loaded, or is damaged
   * @throws TimedOut: a part is still loading
   */
  async waitUntilReady(milliseconds = READY_MS, how?: How): Promise<Readiness> {
    const deadline = Date.now() + milliseconds;
    for (;;) {
      const readiness = await this.ready(how);
      const { loading, failed } = readiness;
      if (failed.length) throw new Unavailable(`the service does not get ready: ${failed.join("; ")}`, { status: 503 });
      if (readiness.status === "ready") return readiness;
      const state = readiness.status === "draining" ? "is stopping" : `still loads ${loading.join(", ")}`;
      if (Date.now() > deadline) throw new TimedOut(`the service ${state}: wait longer`, true);
      await pause(LOOK_MS, how?.signal);
    }
  }

  /** Encode any number of texts; return `embeddings`, a Float32Array each, `token_counts`, `truncated` and more. */
  encode(texts: readonly string[], options: EncodeOptions = {}, how?: How): Promise<Encoded> {
    return encode(this.#sender, texts, options, how);
  }

  /** Order documents by their relevance to a query, by a cross-encoder; the most relevant comes first. */
  rerank(
    query: string,
    documents: readonly string[],
    options: RerankOptions = {},
    how?: How,
  ): Promise<RankedDocument[]> {
    return rerank(this.#sender, query, documents, options, how);
  }

  /** Score pairs of texts, `text_1` and `text_2`, by a cross-encoder; return a number for each pair. */
  score(request: SchemaScoreRequest, how?: How): Promise<number[]> {
    return score(this.#sender, request, how);
  }

  /** Trace a text, or a pair of texts, through a model; docs/guide/encoding.md describes each field. */
  trace(text: string, options: TraceOptions = {}, how?: How): Promise<Trace> {
    return trace(this.#sender, text, options, how);
  }

  /** Attend over arrays; docs/guide/encoding.md describes each field. */
  attend(request: AttentionRequest, how?: How): Promise<Attended> {
    return attendArrays(this.#sender, request, how);
  }

  /** Encode texts by the call of OpenAI's clients; `encode` takes more texts and returns more about each. */
  embed(request: EmbeddingsRequest, how?: How): Promise<Embeddings> {
    return embed(this.#sender, request, how);
  }

  /** Answer a question in four ways from rows of the request. */
  compare<Value = unknown>(
    query: ComparedQuery,
    rows: Iterable<Row>,
    options: Omit<CompareOptions, "filter"> = {},
    how?: How,
  ): Promise<Comparison<Value>> {
    return compare(this.#sender, "/v1", { query, ...options, rows: [...rows] }, how);
  }

  /**
   * Read a file of any format that the service knows, by the ending of its name; yield a line about the table, each row
   * or why it is refused, and last the counts.
   *
   * @throws Invalid: the file cannot be read, or a named column is missing
   * @throws Unsupported: the service lacks the package that reads the format
   */
  table(file: Blob, name: string, options: TableOptions = {}, how?: How): AsyncGenerator<TableLine, void, undefined> {
    return table(this.#sender, file, name, options, how);
  }
}
