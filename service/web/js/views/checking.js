/** The browser's numbers against the service's, as soon as the slider rests. */

import { added } from "../asking.js";
import { h, put } from "../element.js";
import { HALF } from "../formula.js";
import { power } from "../numbers.js";
import { onTheWire } from "../scale.js";
import { say } from "../words.js";

/** Above this the two disagree: the service's arithmetic may round otherwise, never by so much. */
const AGREED = 1e-6;

/** What the slider may be off by on a large collection, before the service has answered there. */
const INTERPOLATED = 2e-3;

/** The line that says how far apart the two are. */
export function checking() {
  const element = h("p.checking.small.soft", { id: "checking" });

  /** @param {Page.Lookup} model */
  function weigh({ result }) {
    put(element, result.asked && result.rows.length ? say("checking.local") : "");
    element.dataset.state = "local";
  }

  /** @param {Page.Lookup & {served: Page.Attended, blend: ?number}} checked what is shown, the service's answer, and how far its blend of values is off */
  function served({ state, result, answer, served: service, blend }) {
    if (!result.rows.length) return;
    if (service.exported) {
      element.dataset.state = "exported";
      return put(element, say("exported.checked"));
    }
    const worst = Math.max(difference(result, answer, service, state.t), blend ?? 0);
    const { tail } = result;
    const interpolated = tail !== null && worst < INTERPOLATED && worst >= AGREED;
    if (tail && worst < INTERPOLATED) learn(tail, result, service, state.t, interpolated);
    if (interpolated) {
      element.dataset.state = "agreed";
      element.dataset.difference = String(worst);
      return put(element, say("checking.swept", { difference: power(worst) }));
    }
    const agreed = worst < Math.max(AGREED, 2 * (service.certificate?.total_variation ?? 0));
    element.dataset.state = agreed ? "agreed" : "apart";
    element.dataset.difference = String(worst);
    put(
      element,
      agreed ? say(blend === null ? "checking.agreed" : "checking.blended", { difference: power(worst) }) : say("checking.apart", { difference: power(worst) }),
    );
  }

  return { element, weigh, served };
}

/**
 * What the service's answer says about the rows that the page does not hold: how many documents it rests on, always;
 * and where that can be told from rounding, what these rows weigh.
 *
 * @param {NonNullable<Page.Result["tail"]>} tail @param {Page.Result} result @param {Page.Attended} service
 * @param {number} temperature @param {boolean} weighs
 */
function learn(tail, result, service, temperature, weighs) {
  const { log_partition: total, effective_documents: effective } = service.evidence;
  if (!weighs || total === null) return tail.learn(temperature, effective);
  const others = added(result, temperature);
  const share = (/** @type {Page.ShownRow} */ row, /** @type {number} */ i) => Math.exp(row.similarity / temperature + (others?.[i] ?? 0) - total);
  const held = result.rows.reduce((sum, row, i) => sum + (row.masked ? 0 : share(row, i)), 0);
  const rest = 1 - held - service.evidence.null_weight;
  tail.learn(temperature, effective, rest > 0 ? Math.log(rest) + total : undefined);
}

/**
 * The largest difference of any weight that both know, the null's included, and of its level; 1 where the verdicts differ that no rounding explains.
 *
 * @param {Page.Result} result @param {Page.Answer} answer @param {Page.Attended} service @param {number} temperature
 */
function difference(result, answer, service, temperature) {
  const index = new Map(result.rows.map((row, i) => [row.id, i]));
  const { null_weight: nullWeight, null_similarity: level } = service.evidence;
  let worst = Math.abs(answer.nullWeight - nullWeight);
  if (level !== null && result.nullKey) worst = Math.max(worst, Math.abs(result.nullKey.level(onTheWire(temperature)) - level) / Math.max(1, Math.abs(level)));
  for (const { id, weight } of service.matches) {
    const i = index.get(id);
    if (i !== undefined) worst = Math.max(worst, Math.abs(answer.weights[i] - weight));
  }
  const undecided = [answer.nullWeight, answer.heaviest].some((weight) => Math.abs(weight - HALF) <= worst);
  const isSeen = service.matches.every(({ id, weight }) => weight <= HALF || index.has(id));
  const isUnknown = (service.unknown_tokens ?? 0) > 0; // and of words that the model does not know no document stands out
  return answer.verdict === service.evidence.verdict || undecided || !isSeen || isUnknown ? worst : 1;
}
