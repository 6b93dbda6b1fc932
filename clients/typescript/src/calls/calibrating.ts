/** Labelled questions sent to a collection. */

import type { Query } from "./asking.ts";
import type { SchemaCalibrateAnswer, SchemaCalibrateRequest } from "../generated/api.ts";
import { WRITE_MS } from "../wire/sending.ts";
import type { How, Sender } from "../wire/sending.ts";
import { outgoing } from "../wire/vectors.ts";

/** A question, and the `id` or the `ids` that answer it; an `id` of null: nothing does. */
export type LabelledQuestion = { readonly query: Query } & (
  | { readonly id: string | null }
  | { readonly ids: readonly string[] }
);

/** What was fitted to labelled questions, and what it gains; docs/calibration.md tells of each field. */
export type Calibration = SchemaCalibrateAnswer;

/** The fields of a calibration besides its questions. */
export type CalibrateOptions = Omit<SchemaCalibrateRequest, "questions">;

/** Fit to labelled questions how sure an answer may be. */
export function calibrate(
  sender: Sender,
  path: string,
  questions: Iterable<LabelledQuestion>,
  options: CalibrateOptions,
  how?: How,
): Promise<Calibration> {
  const sent = Array.from(questions, (each, place) => ({
    ...each,
    query: typeof each.query === "string" ? each.query : outgoing(each.query, `/questions/${place}/query`),
  }));
  const body = { questions: sent, ...options };
  // Applied twice, the second is judged against the first.
  const repeatable = !options.apply;
  return sender.send({ method: "POST", path: `${path}/calibrate`, body, repeatable, limit: WRITE_MS }, how);
}
