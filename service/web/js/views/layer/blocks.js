/** The blocks of the sheet in the order of the steps: what each is called, and which array it shows. */

import { divided, masked } from "../derivation.js";
import { say } from "../../words.js";

/**
 * `kind` is its colour; `labels`, whether its rows are named.
 *
 * @type {{name: string, kind: string, labels?: boolean, title: (t: number) => string, of: (numbers: Page.Arrays, state: {t: number}) => (?number)[][]}[]}
 */
export const BLOCKS = [
  { name: "embeddings", kind: "given", labels: true, title: () => "X", of: (numbers) => numbers.embeddings },
  { name: "query", kind: "query", title: () => "Q", of: (numbers) => numbers.query },
  { name: "key", kind: "key", title: () => "K", of: (numbers) => numbers.key },
  { name: "value", kind: "value", title: () => "V", of: (numbers) => numbers.value },
  { name: "dot", kind: "given", title: () => "QKᵀ", of: (numbers) => numbers.dot },
  { name: "scale", kind: "given", title: (t) => (t === 0 ? "÷ √d_k" : "÷ √d_k ÷ T"), of: (numbers, { t }) => divided(numbers, t) },
  { name: "mask", kind: "given", title: () => say("sheet.mask"), of: (numbers, { t }) => masked(numbers, divided(numbers, t), t) },
  { name: "softmax", kind: "weight", title: () => say("sheet.softmax"), of: (numbers) => numbers.weights },
  { name: "blend", kind: "value", title: () => say("sheet.blend"), of: (numbers) => numbers.blended },
  { name: "concat", kind: "value", title: () => say("sheet.concat"), of: (numbers) => numbers.concatenated },
  { name: "project", kind: "value", title: () => say("sheet.project"), of: (numbers) => numbers.output },
  { name: "residual", kind: "given", title: () => say("sheet.residual"), of: (numbers) => numbers.residual },
  { name: "norm", kind: "given", title: () => say("sheet.norm"), of: (numbers) => numbers.normalised },
];

/** The steps by name: nine of attention, and four that a layer has around it. */
export const STEPS = BLOCKS.map((block) => block.name);
/** The first step that is no part of attention itself. */
export const AROUND = STEPS.indexOf("concat");
