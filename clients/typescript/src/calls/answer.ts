/** The answer to a question: the documents with their weights, and the evidence. */

import { decodeFields } from "./documents.ts";
import type {
  SchemaAttendAnswer,
  SchemaCompareAnswer,
  SchemaEvidence,
  SchemaGroup,
  SchemaGroupByAnswer,
  SchemaMatch,
  SchemaSweepAnswer,
  SchemaSweptMatch,
  SchemaTopKAnswer,
} from "../generated/api.ts";
import { incoming } from "../wire/vectors.ts";

type Decoded<Wire, Value> = Omit<Wire, "value" | "key_vector" | "key_vectors" | "value_vector"> & {
  /** The value of the document; absent if `include` leaves it out. */
  readonly value: Value;
  readonly key_vector?: Float32Array | null;
  readonly key_vectors?: Float32Array[];
  readonly value_vector?: Float32Array | null;
};

/** A document and its weight in the answer; a `logit` of null is minus infinity. */
export type Match<Value = unknown> = Decoded<SchemaMatch, Value>;

/** One of the most similar documents, without a weight. */
export type SweptMatch<Value = unknown> = Decoded<SchemaSweptMatch, Value>;

/** Whether one document stands out, several share the weight, or none fits the question. */
export type Verdict = SchemaEvidence["verdict"];

/** The fields of the wire. The weights of the matches, `rest_weight` and the null weight sum to one. */
export interface Answer<Value = unknown> extends Omit<SchemaAttendAnswer, "matches" | "output" | "group_by"> {
  /** The documents of the answer, by weight. */
  readonly matches: readonly Match<Value>[];
  /** Σ weight · value vector, float32 [d_v], if `include` lists it. */
  readonly output?: Float32Array;
  /** The weight by groups of documents, if `group_by` was asked. */
  readonly group_by?: GroupBy<Value>;
}

/** The weight of an answer by groups of documents, each with its best documents. */
export type GroupBy<Value = unknown> = Omit<SchemaGroupByAnswer, "groups"> & {
  readonly groups: readonly (Omit<SchemaGroup, "matches"> & { readonly matches: readonly Match<Value>[] })[];
};

/** The matches, by weight, and the evidence. */
export class Answer<Value = unknown> implements Iterable<Match<Value>> {
  /** The id of the request in the service's log. */
  readonly requestId: string | undefined;

  constructor(content: SchemaAttendAnswer, requestId?: string) {
    const matches = content.matches.map((match) => decodeFields<Match<Value>>(match));
    const { output, group_by } = content;
    Object.assign(this, content, { matches }, output && { output: incoming(output) });
    if (group_by) Object.assign(this, { group_by: readGroups<Value>(group_by) });
    this.requestId = requestId;
  }

  /** The verdict of the weights: "one" document stands out, "several" share them, or "none" fits. "one" need not answer. */
  get verdict(): Verdict {
    return this.evidence.verdict;
  }

  /** The first match if the verdict is "one", else undefined. */
  get best(): Match<Value> | undefined {
    return this.verdict === "one" ? this.matches[0] : undefined;
  }

  /** The matches that are more similar to the query than the null key; all of them without a null key. */
  get aboveNull(): Match<Value>[] {
    const level = this.evidence.null_similarity;
    return this.matches.filter((match) => level === null || match.similarity > level);
  }

  /** Why the answer was given or not: its `reason` in two sentences, and each warning on a line of its own. */
  explain(): string {
    return [this.reason, ...(this.warnings ?? [])].join("\n");
  }

  [Symbol.iterator](): Iterator<Match<Value>> {
    return this.matches[Symbol.iterator]();
  }
}

/** One question at many temperatures: the same matches at each, best first, and their weights there. */
export type Swept<Value = unknown> = Omit<SchemaSweepAnswer, "matches"> & {
  readonly matches: readonly SweptMatch<Value>[];
  /** The id of the request in the service's log. */
  readonly requestId: string;
};

/** The four answers to one question, all from one version of the documents. */
export type Comparison<Value = unknown> = Omit<SchemaCompareAnswer, "attention" | "top_k"> & {
  readonly top_k: Omit<SchemaTopKAnswer, "matches"> & { readonly matches: readonly SweptMatch<Value>[] };
  readonly attention: Answer<Value>;
};

function readGroups<Value>(content: SchemaGroupByAnswer): GroupBy<Value> {
  const groups = content.groups.map((group) => ({
    ...group,
    matches: group.matches.map((match) => decodeFields<Match<Value>>(match)),
  }));
  return { ...content, groups };
}

/** Convert a sweep from the wire. */
export function readSweep<Value>(content: SchemaSweepAnswer, requestId: string): Swept<Value> {
  return { ...content, matches: content.matches.map((match) => decodeFields<SweptMatch<Value>>(match)), requestId };
}

/** Convert a comparison from the wire. */
export function readComparison<Value>(content: SchemaCompareAnswer, requestId: string): Comparison<Value> {
  const { top_k, attention } = content;
  return {
    ...content,
    top_k: { ...top_k, matches: top_k.matches.map((match) => decodeFields<SweptMatch<Value>>(match)) },
    attention: new Answer<Value>(attention, requestId),
  };
}
