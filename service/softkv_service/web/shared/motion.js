/** Motion: a timeline of parts, each drawn by a share from 0 to 1, that can be stopped. */

/** Whether the reader asked the system for less motion. */
export function isReduced() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Slow at both ends. @param {number} share 0 to 1 */
export function eased(share) {
  return share < 0.5 ? 4 * share ** 3 : 1 - (2 - 2 * share) ** 3 / 2;
}

/**
 * @typedef {object} Part
 * @property {number} seconds how long it takes
 * @property {(share: number) => void} [draw] draws the part at a share of its time, 0 to 1; without it, a pause
 */

/** A timeline that is playing. */
export class Timeline {
  #frame = 0;
  #parts;
  /** @type {() => void} */
  #done = () => {};

  /** @param {Part[]} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  get playing() {
    return this.#frame !== 0;
  }

  /** Play from the beginning. @returns {Promise<boolean>} true when it reached its end, false when it was stopped */
  play() {
    this.stop();
    const begun = performance.now();
    let at = 0;
    let before = 0;
    return new Promise((resolve) => {
      this.#done = () => resolve(false);
      const step = (/** @type {number} */ now) => {
        const passed = (now - begun) / 1000;
        while (at < this.#parts.length && passed >= before + this.#parts[at].seconds) {
          this.#parts[at].draw?.(1);
          before += this.#parts[at].seconds;
          at++;
        }
        if (at === this.#parts.length) {
          this.#frame = 0;
          resolve(true);
          return;
        }
        const { seconds, draw } = this.#parts[at];
        // A frame may be dated before the beginning, and then a part without a length is not over yet.
        draw?.(seconds ? Math.max(0, passed - before) / seconds : 0);
        this.#frame = requestAnimationFrame(step);
      };
      this.#frame = requestAnimationFrame(step);
    });
  }

  /** Draw the moment at a share of the whole time, 0 to 1. @param {number} share */
  drawAt(share) {
    let left = share * this.#parts.reduce((sum, { seconds }) => sum + seconds, 0);
    /** @type {() => void} */
    let last = () => {};
    for (const { seconds, draw } of this.#parts) {
      const part = seconds ? Math.min(1, left / seconds) : 1;
      if (draw) last = () => draw(part);
      left -= seconds;
      if (left <= 0) break;
    }
    last();
  }

  /** Stop at once. */
  stop() {
    if (!this.#frame) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#done();
  }
}

/**
 * Move a number to another within seconds; at once with reduced motion.
 *
 * @param {number} from
 * @param {number} to
 * @param {number} seconds
 * @param {(value: number) => void} draw
 * @returns {Timeline}
 */
export function glide(from, to, seconds, draw) {
  const timeline = new Timeline([{ seconds: isReduced() ? 0 : seconds, draw: (share) => draw(from + (to - from) * eased(share)) }]);
  timeline.play();
  return timeline;
}
