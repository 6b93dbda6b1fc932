/** The calibration of a collection with labelled questions. */

import type { SchemaCalibrateAnswer, SchemaCalibrateRequest } from "../generated/api.ts";
import { WRITE_MS } from "../wire/sending.ts";
import type { How, Sender } from "../wire/sending.ts";
import { outgoing } from "../wire/vectors.ts";
import type { Vector } from "../wire/vectors.ts";

/** A question, and the `id` or the `ids` that answer it; an `id` of null means that none does. */
export type LabelledQuestion = { readonly query: string | Vector } & (
  | { readonly id: string | null }
  | { readonly ids: readonly string[] }
);

/** The fit to labelled questions, and its improvement; docs/guide/calibration.md describes each field. */
export type Calibration = SchemaCalibrateAnswer;

/** The fields of a calibration besides its questions and their origin. */
export type CalibrateOptions = Omit<SchemaCalibrateRequest, "questions" | "from">;

/** Return the body of a request with labelled questions. */
export function encodeLabels(questions: Iterable<LabelledQuestion>): { questions: object[] } {
  const labels = Array.from(questions, (question, position) => ({
    ...question,
    query: typeof question.query === "string" ? question.query : outgoing(question.query, `/questions/${position}/query`),
  }));
  return { questions: labels };
}

/** Calibrate a collection with the questions of the body, or with those of its feedback. */
export function calibrate(
  sender: Sender,
  path: string,
  body: CalibrateOptions & ({ questions: object[] } | { from: "feedback" }),
  how?: How,
): Promise<Calibration> {
  // A second calibration that is applied would be compared with the first.
  return sender.send({ method: "POST", path: `${path}/calibrate`, body, repeatable: !body.apply, limit: WRITE_MS }, how);
}
