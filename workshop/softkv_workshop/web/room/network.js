/** The way in for other machines: buttons open the service to the network and close it, and words say the consequence. */

import { fill, h } from "../../../../service/web/shared/element.js";
import { say } from "./words.js";

/** @typedef {Page.Schemas["NetworkAnswer"]} Network */

const COMMAND = "softkv serve --host 0.0.0.0 --allow-anonymous read";
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;
/** A machine may change its network at any time, and nothing tells a page that. */
const LOOK_MS = 10_000;

/** Whether an address is one that only its own machine can open. @param {string} url */
export function isLoopback(url) {
  return LOOPBACK.test(new URL(url).hostname);
}

/**
 * @param {object} how
 * @param {AbortSignal} how.signal ends the looking
 * @param {() => Promise<?Network>} how.look
 * @param {(wanted: {open: boolean, address?: string}) => Promise<?Network>} how.set
 * @param {(network: Network) => void} how.changed
 */
export function network({ signal, look, set, changed }) {
  const isKeyed = document.documentElement.dataset.keyed !== undefined;
  const told = h("p.unseen", { role: "status" });
  const shown = h("div", {});
  const element = h("section.network", { id: "network", hidden: true, "aria-label": say("network.title") }, told, shown);
  let drawn = "";

  /** @param {?Network} now null: the service refused, or does not answer */
  function show(now) {
    if (!now || signal.aborted) return;
    const state = JSON.stringify(now);
    if (state === drawn) return;
    drawn = state;
    element.hidden = !now.open && now.obstacle === "listening";
    if (element.hidden) return;
    fill(shown, now.open ? opened(now) : closed(now));
    changed(now);
  }

  /** @param {Network} now */
  function opened({ url, public: isPublic, moved, addresses }) {
    const others = addresses.filter((address) => ![address, `[${address}]`].includes(url ? new URL(url).hostname : ""));
    return [
      h("p.who", {}, say(isKeyed ? "network.who.keyed" : "network.who")),
      isPublic ? h("p.wrong", {}, say("network.public")) : null,
      moved ? [h("p.wrong", {}, say("network.moved")), addresses.length ? button("network-again", say("network.again"), { open: true }) : null] : null,
      button("network-close", say("network.close"), { open: false }),
      moved
        ? null
        : h(
            "details",
            {},
            h("summary", {}, say("network.others")),
            h("p", {}, say("network.help", { port: (url && new URL(url).port) || "80" })),
            others.map((address, i) => button(`network-${i}`, say("network.other", { address }), { open: true, address })),
          ),
    ];
  }

  /** @param {Network} now */
  function closed({ obstacle, public: isPublic }) {
    if (obstacle === null)
      return [
        button("network-open", say("network.open"), { open: true }),
        h("p.soft", {}, say(isKeyed ? "network.what.keyed" : "network.what")),
        isPublic ? h("p.wrong", {}, say("network.public")) : null,
      ];
    return [
      h("p", {}, say("present.alone"), " ", say(`network.${obstacle}`)),
      obstacle === "offline" ? h("button", { type: "button", id: "network-look", onclick: async () => show(await look()) }, say("network.look")) : null,
      obstacle === "caller" || obstacle === "server" ? command() : null,
    ];
  }

  /** A button that opens or closes. @param {string} id @param {string} words @param {{open: boolean, address?: string}} wanted */
  function button(id, words, wanted) {
    const press = async () => {
      own.disabled = true;
      const now = await set(wanted);
      own.disabled = false;
      if (!now) return;
      show(now);
      told.textContent = say(now.open ? "network.opened" : "network.closed");
      /** @type {?HTMLButtonElement} */ (shown.querySelector(now.open ? "#network-close" : "#network-open"))?.focus();
    };
    const own = h("button", { type: "button", id, onclick: press }, words);
    return own;
  }

  async function again() {
    if (document.visibilityState === "visible" && drawn) show(await look());
  }

  const timer = setInterval(again, LOOK_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  void look().then(show);
  return element;
}

/** The command by which a service listens on the network from its start. */
function command() {
  const copying = h("button", { type: "button", onclick: copy }, say("present.copy"));
  async function copy() {
    try {
      await navigator.clipboard.writeText(COMMAND);
      copying.textContent = say("present.copied");
    } catch (failure) {
      if (!(failure instanceof DOMException || failure instanceof TypeError)) throw failure; // no right to the clipboard: it is copied by hand
    }
  }
  return h("details.alone", { id: "alone" }, h("summary", {}, say("network.start")), h("p", {}, say("present.alone.how")), h("code", {}, COMMAND), copying);
}
