/** Calls for lessons: rooms that a class shares, and models of the lab. */

import { events } from "../wire/events.ts";
import type { ServiceEvent } from "../wire/events.ts";
import type {
  SchemaDecodeAnswer,
  SchemaDecodeRequest,
  SchemaGuessed,
  SchemaLabAnswer,
  SchemaOpenRequest,
  SchemaOpenedRoom,
  SchemaReleasedRows,
  SchemaRoom,
  SchemaRoomQuestion,
  SchemaRoomRow,
  SchemaRoomWords,
  SchemaRowBody,
  SchemaShownTemperature,
  SchemaTrainRequest,
} from "../generated/api.ts";
import { WRITE_MS } from "../wire/sending.ts";
import type { Call, How, Sender } from "../wire/sending.ts";
import { tensor } from "../wire/vectors.ts";
import type { Tensor } from "../wire/vectors.ts";

/** The output of a model, and the attention of each token: arrays of each layer, [n_heads, m, n] and [n_heads, n, n]. */
export type Decoded = Omit<SchemaDecodeAnswer, "attention" | "source_attention"> & {
  readonly attention: Tensor;
  readonly source_attention: Tensor;
};

/** Rooms, the shared memory of a class, by their codes. The presenter has the secret that opening a room returns. */
export class Rooms {
  readonly #sender: Sender;

  /** Made by the client. */
  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** Open a room. It stays in the memory of the service until it is closed or unused for two hours. */
  open(request: SchemaOpenRequest = {}, how?: How): Promise<SchemaOpenedRoom> {
    return this.#sender.send({ method: "POST", path: "/v1/rooms", body: request }, how);
  }

  /** Return the content of a room: its rows, the question that is shown, and the questions that wait. */
  get(code: string, how?: How): Promise<SchemaRoom> {
    return this.#sender.get(pathOf(code), how);
  }

  /** Close a room and delete its content. */
  close(code: string, secret: string, how?: How): Promise<void> {
    return this.#send("DELETE", pathOf(code), undefined, secret, how, { read: () => undefined });
  }

  /**
   * Put a row into a room.
   *
   * @param id any id of 1 to 64 letters, digits, dashes or underscores
   * @param secret any word, which later allows to replace and remove the row; or the secret of the presenter
   */
  putRow(code: string, id: string, row: SchemaRowBody, secret?: string, how?: How): Promise<SchemaRoomRow> {
    return this.#send("PUT", pathOf(code, "rows", id), row, secret, how, { repeatable: true });
  }

  /** Remove a row: any row with the secret of the presenter, otherwise a row with the same secret. */
  removeRow(code: string, id: string, secret: string, how?: How): Promise<void> {
    return this.#send("DELETE", pathOf(code, "rows", id), undefined, secret, how, { read: () => undefined });
  }

  /** Remove all rows of a room, for the presenter. */
  removeRows(code: string, secret: string, how?: How): Promise<void> {
    return this.#send("DELETE", pathOf(code, "rows"), undefined, secret, how, { read: () => undefined });
  }

  /** Hold new rows and questions from now on, or no more, for the presenter; what waits already goes on waiting. */
  hold(code: string, hold: boolean, secret: string, how?: How): Promise<{ readonly hold: boolean }> {
    return this.#send("PUT", pathOf(code, "hold"), { hold }, secret, how, { repeatable: true });
  }

  /** Show rows that wait, or else all of them, to everyone in the room, for the presenter. */
  release(code: string, secret: string, rows?: readonly string[], how?: How): Promise<SchemaReleasedRows> {
    return this.#send("POST", pathOf(code, "release"), { ...(rows !== undefined && { rows }) }, secret, how);
  }

  /** Ask a question. With the secret of the presenter it is shown to all; otherwise it waits for the presenter. */
  ask(
    code: string,
    question: { readonly query: string; readonly temperature?: number },
    secret?: string,
    how?: How,
  ): Promise<SchemaRoomQuestion> {
    return this.#send("POST", pathOf(code, "questions"), question, secret, how);
  }

  /**
   * Guess which row will weigh most.
   *
   * @param id the id of the guesser, which is never shown; the last guess of each id counts
   * @param question the number of the question
   * @param row the id of the row; null for "none of these"
   */
  guess(code: string, id: string, question: number, row: string | null, how?: How): Promise<SchemaGuessed> {
    const path = pathOf(code, "guesses", id);
    return this.#sender.send({ method: "PUT", path, body: { question, row }, repeatable: true }, how);
  }

  /** Close the guesses, compute the answer of the rows, and show it to all. */
  reveal(code: string, question: number, secret: string, how?: How): Promise<SchemaRoomQuestion> {
    return this.#send("POST", pathOf(code, "reveal"), { question }, secret, how, { limit: WRITE_MS });
  }

  /** Show all participants the answer of a question at another temperature, for the presenter. */
  showTemperature(
    code: string,
    question: number,
    temperature: number,
    secret: string,
    how?: How,
  ): Promise<SchemaShownTemperature> {
    const body = { question, temperature };
    return this.#send("PUT", pathOf(code, "temperature"), body, secret, how, { repeatable: true });
  }

  /** Return how similar a row, or else the heaviest, is to an answered question without each of its words. */
  words(code: string, question: number, row?: string, how?: How): Promise<SchemaRoomWords> {
    const body = { question, ...(row !== undefined && { row }) };
    return this.#sender.ask(pathOf(code, "words"), body, how, undefined, WRITE_MS);
  }

  /** Yield the events of a room until it ends: first `room` with its whole content, then every change. */
  events(code: string, how: How = {}): AsyncGenerator<ServiceEvent, void, undefined> {
    return events(this.#sender, pathOf(code, "events"), how);
  }

  #send<T>(
    method: string,
    path: string,
    body: unknown,
    secret?: string,
    how?: How,
    more?: Partial<Call<T>>,
  ): Promise<T> {
    const headers = { ...(secret !== undefined && { "X-Room-Secret": secret }), ...how?.headers };
    return this.#sender.send<T>({ method, path, body, ...more }, { ...how, headers });
  }
}

/** The lab: it trains small models while the caller listens, and queries them. */
export class Lab {
  readonly #sender: Sender;

  /** Made by the client. */
  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** Return the trained models, and whether one is being trained. */
  info(how?: How): Promise<SchemaLabAnswer> {
    return this.#sender.get("/v1/lab", how);
  }

  /** Train a small model; yield events, `trained` with its `id` last. The training ends if the caller stops iterating. */
  train(request: SchemaTrainRequest, how: How = {}): AsyncGenerator<ServiceEvent, void, undefined> {
    return events(this.#sender, "/v1/lab/train", { ...how, body: request });
  }

  /** Return the output of a trained model for a text or a picture, with the attention of each token. */
  decode(request: SchemaDecodeRequest, how?: How): Promise<Decoded> {
    const read = (content: SchemaDecodeAnswer): Decoded => ({
      ...content,
      attention: tensor(content.attention),
      source_attention: tensor(content.source_attention),
    });
    return this.#sender.ask("/v1/lab/decode", request, how, read, WRITE_MS);
  }
}

function pathOf(code: string, ...below: string[]): string {
  return ["/v1/rooms", ...[code, ...below].map(encodeURIComponent)].join("/");
}
