/** The calibration of a collection with labelled questions. */

import type { Query } from "./asking.ts";
import type { SchemaCalibrateAnswer, SchemaCalibrateRequest } from "../generated/api.ts";
import { WRITE_MS } from "../wire/sending.ts";
import type { How, Sender } from "../wire/sending.ts";
import { outgoing } from "../wire/vectors.ts";

/** A question, and the `id` or the `ids` that answer it; an `id` of null means that none does. */
export type LabelledQuestion = { readonly query: Query } & (
  | { readonly id: string | null }
  | { readonly ids: readonly string[] }
);

/** The fit to labelled questions, and its improvement; docs/guide/calibration.md describes each field. */
export type Calibration = SchemaCalibrateAnswer;

/** The fields of a calibration besides its questions. */
export type CalibrateOptions = Omit<SchemaCalibrateRequest, "questions">;

/** Calibrate a collection with labelled questions. */
export function calibrate(
  sender: Sender,
  path: string,
  questions: Iterable<LabelledQuestion> | undefined,
  options: CalibrateOptions,
  how?: How,
): Promise<Calibration> {
  const sent = questions && Array.from(questions, (question, position) => ({
    ...question,
    query: typeof question.query === "string" ? question.query : outgoing(question.query, `/questions/${position}/query`),
  }));
  const body = { questions: sent, ...options };
  // A second calibration that is applied would be compared with the first.
  const repeatable = !options.apply;
  return sender.send({ method: "POST", path: `${path}/calibrate`, body, repeatable, limit: WRITE_MS }, how);
}
