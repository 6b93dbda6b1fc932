/** A name that flies from where the phones come in to its place in the memory. */

import { h } from "../../../../service/softkv_service/web/shared/element.js";
import { isReduced } from "../../../../service/softkv_service/web/shared/motion.js";

const MS = 900;

/**
 * @param {Element} from where it begins
 * @param {HTMLElement} to what it becomes, which is not seen until then
 * @param {string} name
 */
export function fly(from, to, name) {
  if (isReduced()) return;
  const [begin, end] = [from, to].map((element) => element.getBoundingClientRect());
  const flying = h("span.flying.key", { "aria-hidden": "true", dir: "auto", style: { left: `${end.left}px`, top: `${end.top}px` } }, name);
  document.body.append(flying);
  const [x, y] = [begin.left + begin.width / 2 - end.left, begin.top + begin.height / 2 - end.top];
  const moving = flying.animate(
    [
      { transform: `translate(${x}px, ${y}px) scale(0.4)`, opacity: 0 },
      { transform: `translate(${x * 0.6}px, ${y * 0.6 - 40}px) scale(1.6)`, opacity: 1, offset: 0.45 },
      { transform: "none", opacity: 1 },
    ],
    { duration: MS, easing: "cubic-bezier(0.3, 0, 0.2, 1)" },
  );
  to.animate([{ opacity: 0 }, { opacity: 0, offset: 0.85 }, { opacity: 1 }], MS);
  moving.finished.then(
    () => flying.remove(),
    () => flying.remove(),
  );
}
