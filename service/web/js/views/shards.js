/** Where the keys are, if shard servers hold them and not the service itself: a line in the foot. */

import { SoftkvError } from "../api.js";
import { h } from "../element.js";
import { say } from "../words.js";

/** Ask once, and say it in the language of the page. @param {Page.Shared} shared */
export async function shards(shared) {
  shared.held ??= shared.api.get("/v1").then(
    (service) => service.shards,
    (failure) => {
      if (!(failure instanceof SoftkvError)) throw failure;
      return null;
    },
  );
  const held = await shared.held;
  const foot = document.querySelector("#foot");
  if (!foot || !held || held.ranges === null || held.whole === null || foot.querySelector("#shards")) return;
  const machines = new Set(held.servers.map((server) => server.machine)).size;
  const whole = held.whole === held.ranges;
  foot.append(
    h(
      "span",
      { id: "shards" },
      say("foot.servers", { servers: held.servers.length, machines }),
      " ",
      say(whole ? "foot.copies" : "foot.copies.fewer", { copies: held.copies, whole: held.whole, ranges: held.ranges }),
    ),
  );
}
