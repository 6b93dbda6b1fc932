/** The answer to a question: who has how much of the weight, and how much the collection knew. */

import { decoded } from "./documents.ts";
import type {
  SchemaAttendAnswer,
  SchemaCompareAnswer,
  SchemaEvidence,
  SchemaMatch,
  SchemaSweepAnswer,
  SchemaSweptMatch,
  SchemaTopKAnswer,
} from "../generated/api.ts";
import { incoming } from "../wire/vectors.ts";

type Decoded<Wire, Value> = Omit<Wire, "value" | "key_vector" | "key_vectors" | "value_vector"> & {
  /** What is found there; absent where `include` left it out. */
  readonly value: Value;
  readonly key_vector?: Float32Array | null;
  readonly key_vectors?: Float32Array[];
  readonly value_vector?: Float32Array | null;
};

/** A document and its share of the answer; a `logit` of null is minus infinity. */
export type Match<Value = unknown> = Decoded<SchemaMatch, Value>;

/** A document among those that are most similar, without a weight of its own. */
export type SweptMatch<Value = unknown> = Decoded<SchemaSweptMatch, Value>;

/** Whether one document stands out, several share the weight, or the collection holds nothing about that. */
export type Verdict = SchemaEvidence["verdict"];

/** The fields of the wire; the weights of the matches, `rest_weight` and the null weight sum to one. */
export interface Answer<Value = unknown> extends Omit<SchemaAttendAnswer, "matches" | "output"> {
  /** The documents that are named, by weight. */
  readonly matches: readonly Match<Value>[];
  /** Σ weight · value vector, float32 [d_v], where `include` asked for it. */
  readonly output?: Float32Array;
}

/** The matches, by weight, and how much the collection knew. */
export class Answer<Value = unknown> implements Iterable<Match<Value>> {
  /** The request's name in the service's log. */
  readonly requestId: string | undefined;

  static {
    refuseAnswered(this.prototype);
  }

  constructor(content: SchemaAttendAnswer, requestId?: string) {
    const matches = content.matches.map((each) => decoded<Match<Value>>(each));
    Object.assign(this, content, { matches }, content.output && { output: incoming(content.output) });
    refuseAnswered(this.evidence);
    this.requestId = requestId;
  }

  /** What the weights say: "one" document stands out, "several" share them, or "none" is about that; no probability. */
  get verdict(): Verdict {
    return this.evidence.verdict;
  }

  /** The first match where the verdict is "one", else undefined. */
  get best(): Match<Value> | undefined {
    return this.verdict === "one" ? this.matches[0] : undefined;
  }

  /** The matches more similar to the query than "none of these"; all of them where there is no null key. */
  get aboveNull(): Match<Value>[] {
    const level = this.evidence.null_similarity;
    return this.matches.filter((each) => level === null || each.similarity > level);
  }

  [Symbol.iterator](): Iterator<Match<Value>> {
    return this.matches[Symbol.iterator]();
  }
}

/** One question at many temperatures: the same matches at each, best first, and what each weighs there. */
export type Swept<Value = unknown> = Omit<SchemaSweepAnswer, "matches"> & {
  readonly matches: readonly SweptMatch<Value>[];
  /** The request's name in the service's log. */
  readonly requestId: string;
};

/** One question, asked in four ways of one version of the documents. */
export type Comparison<Value = unknown> = Omit<SchemaCompareAnswer, "attention" | "top_k"> & {
  readonly top_k: Omit<SchemaTopKAnswer, "matches"> & { readonly matches: readonly SweptMatch<Value>[] };
  readonly attention: Answer<Value>;
};

/** A sweep from the wire. */
export function swept<Value>(content: SchemaSweepAnswer, requestId: string): Swept<Value> {
  for (const { evidence } of content.temperatures) refuseAnswered(evidence);
  return { ...content, matches: content.matches.map((each) => decoded<SweptMatch<Value>>(each)), requestId };
}

/** A comparison from the wire. */
export function comparison<Value>(content: SchemaCompareAnswer, requestId: string): Comparison<Value> {
  const { top_k, attention } = content;
  return {
    ...content,
    top_k: { ...top_k, matches: top_k.matches.map((each) => decoded<SweptMatch<Value>>(each)) },
    attention: new Answer<Value>(attention, requestId),
  };
}

/** Let a read of `answered` fail, which no type has, rather than be undefined and so false. */
export function refuseAnswered(content: object): void {
  Object.defineProperty(content, "answered", { get: noAnswered });
}

function noAnswered(): never {
  throw new TypeError('answered gave way to verdict: write answer.verdict !== "none", or answer.best for one document that stands out');
}
