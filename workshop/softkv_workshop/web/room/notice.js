/** The obstacle between this browser and the room: a key, a service that is away, a room that is over, a refusal. */

import { SoftkvError, Unreachable } from "../../../../service/softkv_service/web/shared/api.js";
import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";
import { say } from "./words.js";

/**
 * @param {Page.API} api
 * @param {() => void} anew what to do when another key was given
 */
export function notice(api, anew) {
  const element = h("div", { id: "notice", role: "status" });
  let shown = "";

  function askKey() {
    if (shown === "key" && !api.refused) return;
    shown = "key";
    const input = h("input", { type: "password", id: "api-key", autocomplete: "off", value: api.key });
    const use = (/** @type {Event} */ event) => {
      event.preventDefault();
      api.key = input.value.trim();
      clear();
      anew();
    };
    const label = h("label", { for: "api-key" }, say(api.refused ? "notice.key.refused" : "notice.key"));
    fill(element, h("div.notice", {}, h("form", { onsubmit: use }, label, " ", input, h("button", { type: "submit" }, say("notice.use")))));
    input.focus();
  }

  function clear() {
    if (shown) fill(element);
    shown = "";
  }

  /**
   * Words that stay until they are cleared.
   * @param {string} name
   * @param {Record<string, string | number>} [places]
   * @param {...Node} more
   */
  function tell(name, places, ...more) {
    shown = name;
    fill(element, h("p.notice", {}, say(name, places), more.length ? " " : null, ...more));
  }

  /** A call that was refused. @param {unknown} failure */
  function refused(failure) {
    if (!(failure instanceof SoftkvError)) throw failure;
    if (failure.status === 401) askKey();
    else if (failure instanceof Unreachable || failure.code === "stopping") tell("notice.away");
    else tell("notice.refused", { detail: failure.detail });
  }

  return { element, askKey, clear, tell, refused };
}
