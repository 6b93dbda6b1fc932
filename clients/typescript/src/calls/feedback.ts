/** Feedback on answers: what callers said of them. */

import type { Sender, How } from "../wire/sending.ts";
import { outgoing } from "../wire/vectors.ts";
import type { Vector } from "../wire/vectors.ts";
import { Pages } from "../pages.ts";
import type { SchemaFeedbackPage, SchemaFeedbackRecord } from "../generated/api.ts";

/** Whether a document answers a question; an `id` of null stands for "the collection has no answer". */
export interface Judgement {
  readonly query: string | Vector;
  readonly id: string | null;
  readonly right: boolean;
}

/** A stored record of feedback. */
export type FeedbackRecord = SchemaFeedbackRecord;

/** Convert judgements to the body of a request. */
export function encodeJudgements(judgements: Iterable<Judgement>): { feedback: object[] } {
  const feedback = Array.from(judgements, (judgement, position) => ({
    ...judgement,
    query:
      typeof judgement.query === "string" ? judgement.query : outgoing(judgement.query, `/feedback/${position}/query`),
  }));
  return { feedback };
}

/** Return the records of a collection, the oldest first. */
export function listFeedback(sender: Sender, path: string, limit: number, how?: How): Pages<FeedbackRecord> {
  const ask = (count: number, cursor?: string): Promise<SchemaFeedbackPage> => {
    const query = new URLSearchParams({ limit: `${count}`, ...(cursor === undefined ? {} : { cursor }) });
    return sender.get(`${path}/feedback?${query}`, how);
  };
  return new Pages({
    ask: async (cursor, count) => {
      const { feedback: items, next_cursor } = await ask(count, cursor);
      return { items, next_cursor };
    },
    limit,
    count: async () => (await ask(0)).count,
  });
}
