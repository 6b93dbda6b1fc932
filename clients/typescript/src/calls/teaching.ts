/** Calls for lessons: rooms that a class shares, and models of the lab. */

import { refuseAnswered } from "./answer.ts";
import { events } from "../wire/events.ts";
import type { Told } from "../wire/events.ts";
import type {
  SchemaDecodeAnswer,
  SchemaDecodeRequest,
  SchemaGuessed,
  SchemaLabAnswer,
  SchemaOpenRequest,
  SchemaOpenedRoom,
  SchemaRoom,
  SchemaRoomQuestion,
  SchemaRoomRow,
  SchemaRowBody,
  SchemaTrainRequest,
} from "../generated/api.ts";
import { WRITE_MS } from "../wire/sending.ts";
import type { Call, How, Sender } from "../wire/sending.ts";
import { tensor } from "../wire/vectors.ts";
import type { Tensor } from "../wire/vectors.ts";

/** What a model wrote, and what each token rests on: arrays of each layer, [n_heads, m, n] and [n_heads, n, n]. */
export type Decoded = Omit<SchemaDecodeAnswer, "attention" | "source_attention"> & {
  readonly attention: Tensor;
  readonly source_attention: Tensor;
};

/** Rooms: a class's shared memory, by its code; who presents has the secret that opening it was answered with. */
export class Rooms {
  readonly #sender: Sender;

  /** Made by the client. */
  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** Open a room; it lives in the service's memory until it is closed, or was not used for two hours. */
  open(request: SchemaOpenRequest = {}, how?: How): Promise<SchemaOpenedRoom> {
    return this.#sender.send({ method: "POST", path: "/v1/rooms", body: request }, how);
  }

  /** All that a room holds: its rows, the question that is shown, those that wait. */
  get(code: string, how?: How): Promise<SchemaRoom> {
    return this.#sender.get(pathOf(code), how, (room: SchemaRoom) => {
      if (room.question) checked(room.question);
      return room;
    });
  }

  /** End a room, and forget what it held. */
  close(code: string, secret: string, how?: How): Promise<void> {
    return this.#send("DELETE", pathOf(code), undefined, secret, how, { read: () => undefined });
  }

  /**
   * Put a row into a room.
   *
   * @param id of your own choice: 1 to 64 letters, digits, dashes or underscores
   * @param secret a word of your own, with which the row can be replaced and removed later; or who presents'
   */
  putRow(code: string, id: string, row: SchemaRowBody, secret?: string, how?: How): Promise<SchemaRoomRow> {
    return this.#send("PUT", pathOf(code, "rows", id), row, secret, how, { repeatable: true });
  }

  /** Take a row out of a room: who presents may remove any, others what they put there with that secret. */
  removeRow(code: string, id: string, secret: string, how?: How): Promise<void> {
    return this.#send("DELETE", pathOf(code, "rows", id), undefined, secret, how, { read: () => undefined });
  }

  /** Take all rows out of a room, whoever put them there; for who presents. */
  removeRows(code: string, secret: string, how?: How): Promise<void> {
    return this.#send("DELETE", pathOf(code, "rows"), undefined, secret, how, { read: () => undefined });
  }

  /** Ask in a room: with who presents' secret all see it and guess; else it waits until who presents asks the same. */
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
   * @param id the guesser's own, shown to nobody; of one, the last guess counts
   * @param question its number
   * @param row its id; null for none of them
   */
  guess(code: string, id: string, question: number, row: string | null, how?: How): Promise<SchemaGuessed> {
    const path = pathOf(code, "guesses", id);
    return this.#sender.send({ method: "PUT", path, body: { question, row }, repeatable: true }, how);
  }

  /** Close the guesses, ask the rows, and show everybody the answer. */
  reveal(code: string, question: number, secret: string, how?: How): Promise<SchemaRoomQuestion> {
    return this.#send("POST", pathOf(code, "reveal"), { question }, secret, how, { limit: WRITE_MS, read: checked });
  }

  /** Listen to a room until it is over: first `room` with all that it holds, then every change. */
  events(code: string, how: How = {}): AsyncGenerator<Told, void, undefined> {
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

/** The lab: small models are trained while one listens, and then asked. */
export class Lab {
  readonly #sender: Sender;

  /** Made by the client. */
  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** What is trained, and what was. */
  info(how?: How): Promise<SchemaLabAnswer> {
    return this.#sender.get("/v1/lab", how);
  }

  /** Train a small model, and hear of it: `trained` with the model's `id` at the end. Who stops listening ends it. */
  train(request: SchemaTrainRequest, how: How = {}): AsyncGenerator<Told, void, undefined> {
    return events(this.#sender, "/v1/lab/train", { ...how, body: request });
  }

  /** What a trained model writes for a text or a picture, with the attention behind each token. */
  decode(request: SchemaDecodeRequest, how?: How): Promise<Decoded> {
    const read = (content: SchemaDecodeAnswer): Decoded => ({
      ...content,
      attention: tensor(content.attention),
      source_attention: tensor(content.source_attention),
    });
    return this.#sender.ask("/v1/lab/decode", request, how, read, WRITE_MS);
  }
}

/** A question whose answer, where it is shown, says what gave way to what. */
function checked(question: SchemaRoomQuestion): SchemaRoomQuestion {
  if (question.answer) refuseAnswered(question.answer);
  return question;
}

function pathOf(code: string, ...below: string[]): string {
  return ["/v1/rooms", ...[code, ...below].map(encodeURIComponent)].join("/");
}
