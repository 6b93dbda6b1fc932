/** What goes wrong on the way: nobody there, too slow, given up, refused for a moment, something else that answers. */

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import {
  Busy,
  Client,
  Invalid,
  KeyRefused,
  Refused,
  SoftkvError,
  TimedOut,
  Unavailable,
  Unreachable,
} from "../src/index.ts";
import { COMPASS, URL_OF_SERVICE, client, collection, nowhere, pass, refuse, server } from "./service.ts";

const VECTORS = { encoder: null, dimension: 2 } as const;

test("a service that is down", async () => {
  const url = await nowhere();
  let tried = 0;
  const fetch = (to: string, init: RequestInit) => {
    tried++;
    return globalThis.fetch(to, init);
  };
  const down = new Client({ url, fetch });
  await assert.rejects(down.info(), (error: Unreachable) => {
    assert.ok(error instanceof Unreachable && !(error instanceof TimedOut));
    assert.deepEqual(
      [error.name, error.sent, error.status, error.code, error.again],
      ["Unreachable", false, undefined, undefined, true],
    );
    assert.match(error.message, /no service answers at .*ECONNREFUSED.*softkv serve/);
    return true;
  });
  assert.equal(tried, 3);
  await assert.rejects(down.call("POST", "/v1/rooms", {}), Unreachable);
  assert.equal(tried, 6, "what was never sent may be sent");
  await assert.rejects(new Client({ url, retries: 0 }).collection("a").put("x", {}), Unreachable);
});

test("what takes too long is not asked again", async (t) => {
  let asked = 0;
  const url = await server(t, () => void asked++);
  await assert.rejects(new Client({ url }).info({ timeout: 50 }), (error: TimedOut) => {
    assert.ok(error instanceof TimedOut);
    assert.deepEqual([error.name, error.sent], ["TimedOut", true]);
    assert.match(error.message, /did not answer in time \(after 0.05 s\)/);
    return true;
  });
  assert.equal(asked, 1);
  await assert.rejects(new Client({ url, timeout: 20 }).alive(), TimedOut);
  await assert.rejects(new Client({ url }).withOptions({ timeout: 20 }).alive(), TimedOut);
  await assert.rejects(client.info({ timeout: 0 }), /timeout: wanted milliseconds above 0/);
});

test("an answer of a cache is asked for once more, past the cache", async (t) => {
  const asked: (string | undefined)[] = [];
  let fresh = true;
  const url = await server(t, ({ headers }, answered) => {
    asked.push(headers["cache-control"]);
    const own = { "X-Request-ID": headers["x-request-id"], Age: "0" };
    answered.writeHead(200, fresh && asked.length > 1 ? own : { "X-Request-ID": "another", Age: "3" });
    answered.end('{"version": "1"}');
  });
  const caching = new Client({ url });
  assert.equal((await caching.info()).version, "1");
  assert.deepEqual(asked.splice(0), [undefined, "no-cache"]);
  fresh = false;
  const isCached = (error: SoftkvError) => /a cache answered for request another: let it obey/.test(error.message);
  await assert.rejects(caching.info(), (error: SoftkvError) => isCached(error) && !(error instanceof Unreachable));
  assert.equal(asked.splice(0).length, 2);
  await assert.rejects(caching.call("POST", "/v1/rooms", {}), isCached);
  assert.equal(asked.length, 1, "the call may have been done");
});

test("an answer that stops in the middle", async (t) => {
  const url = await server(t, (_, answered) => {
    answered.writeHead(200, { "Content-Type": "application/json", "Content-Length": "100" }).write("{");
    setTimeout(() => answered.destroy(), 20);
  });
  await assert.rejects(new Client({ url, retries: 0 }).info(), Unreachable);
  const slow = await server(t, (_, answered) => void answered.writeHead(200).write("{"));
  await assert.rejects(new Client({ url: slow }).info({ timeout: 100 }), TimedOut);
});

test("a signal ends a call, and its reason is thrown", async (t) => {
  const url = await server(t, () => undefined);
  const own = new Client({ url });
  const reason = new Error("nobody wants to know any more");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 20);
  await assert.rejects(own.info({ signal: controller.signal }), reason);
  await assert.rejects(own.info({ signal: AbortSignal.abort(reason) }), reason);
  await assert.rejects(own.info({ signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
  const between = new AbortController();
  const busy = await server(t, (_, answered) => {
    refuse(answered, 429, "queue_full", { "Retry-After": "30" });
    setTimeout(() => between.abort(reason), 200);
  });
  const began = Date.now();
  await assert.rejects(new Client({ url: busy }).info({ signal: between.signal }), reason);
  assert.ok(Date.now() - began < 20_000, "the wait between tries is ended too");
});

test("what may succeed a moment later is asked again", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const names: [string | undefined, string | undefined][] = [];
  const url = await server(t, (asked, answered) => {
    names.push([asked.headers["x-request-id"] as string, asked.headers["idempotency-key"] as string]);
    if (names.length % 2) refuse(answered, 503, "encoder_unavailable", { "Retry-After": "0" });
    else pass(asked, answered);
  });
  const own = new Client({ url }).collection(compass.name);
  assert.equal((await own.attend([1, 0])).matches[0]?.id, "east");
  assert.deepEqual(await own.put("new", { key_vector: [1, 1] }), { upserted: 1, skipped: [], deleted: 0, truncated: [] });
  assert.equal(names.length, 4);
  assert.equal(names[0]?.[0], names[1]?.[0]);
  assert.equal(names[0]?.[1], undefined);
  assert.equal(names[2]?.[1], names[3]?.[1]);
  assert.equal(names[2]?.[1], names[2]?.[0]);
  assert.equal(await compass.count(), 5);
});

test("a write whose answer is lost is done once", async (t) => {
  const compass = await collection(t, VECTORS);
  let lost = false;
  const url = await server(t, (asked, answered) => {
    if (lost) return pass(asked, answered);
    lost = true;
    pass(asked, Object.assign(answered, { writeHead: () => answered.destroy() }));
  });
  const own = new Client({ url }).collection(compass.name);
  const did = await own.write([{ id: "a", key_vector: [1, 0] }], { onConflict: "fail" });
  assert.deepEqual([did.upserted, lost], [1, true]);
});

test("a calibration that is applied is sent once, and has the time of a write", async (t) => {
  let asked = 0;
  const url = await server(t, (_, answered) => {
    asked++;
    answered.destroy();
  });
  const own = new Client({ url, retries: 1 }).collection("a");
  const labelled = [{ query: "cats", id: null }];
  await assert.rejects(own.calibrate(labelled, { apply: true }), Unreachable);
  assert.equal(asked, 1);
  await assert.rejects(own.calibrate(labelled), Unreachable);
  assert.equal(asked, 3, "what keeps nothing may be asked again");
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const fetch = (_: string, { signal }: RequestInit) =>
    new Promise<Response>((_, fail) => signal?.addEventListener("abort", () => fail(signal.reason)));
  const slow = new Client({ url, fetch }).collection("a").calibrate(labelled);
  t.mock.timers.tick(600_000);
  await assert.rejects(slow, { name: "TimedOut", message: /after 600 s/ });
});

test("how often, and what is never asked again", async (t) => {
  const asked: string[] = [];
  let [status, code, wait] = [503, "stopping", "0"];
  const url = await server(t, ({ url: path }, answered) => {
    asked.push(path ?? "");
    refuse(answered, status, code, { "Retry-After": wait });
  });
  const own = new Client({ url });
  const tries = async (call: Promise<unknown>): Promise<[number, Refused]> => {
    asked.length = 0;
    const error = await call.then(
      () => assert.fail("it was answered"),
      (failure: Refused) => failure,
    );
    return [asked.length, error];
  };
  assert.equal((await tries(own.info()))[0], 3);
  assert.equal((await tries(own.info({ retries: 0 })))[0], 1);
  assert.equal((await tries(own.call("POST", "/v1/anything", {})))[0], 3);
  wait = "61";
  const [once, error] = await tries(own.info());
  assert.deepEqual([once, error.name, error.retryAfter, error.again], [1, "Unavailable", 61, true]);
  assert.ok(error instanceof Unavailable);
  [status, code, wait] = [503, "collection_damaged", "0"];
  assert.deepEqual((await tries(own.info()))[1].again, false);
  assert.equal(asked.length, 1);
  [status, code] = [429, "queue_full"];
  assert.ok((await tries(own.info()))[1] instanceof Busy);
  assert.equal(asked.length, 3);
});

test("what a proxy answers in its own words", async (t) => {
  let asked = 0;
  const url = await server(t, (_, answered) => {
    asked++;
    answered.writeHead(502, { "Content-Type": "text/html", "X-Request-ID": "theirs" }).end("<h1>Bad gateway</h1>");
  });
  const own = new Client({ url });
  await assert.rejects(own.info(), (error: Unavailable) => {
    assert.ok(error instanceof Unavailable);
    assert.match(error.message, /\/v1 answered 502 with text\/html, which is not softkv's: check the address/);
    assert.deepEqual([error.code, error.requestId], [undefined, "theirs"]);
    return true;
  });
  assert.equal(asked, 3);
  await assert.rejects(own.call("POST", "/v1/rooms", {}), Unavailable);
  assert.equal(asked, 4, "nobody knows what became of it");
  const page = await server(
    t,
    (_, answered) => void answered.writeHead(200, { "Content-Type": "text/html" }).end("<p>Hello"),
  );
  await assert.rejects(new Client({ url: page }).info(), { name: "Refused", status: 200, message: /not softkv's/ });
  for (const [status, text] of [[404, "<p>Not Found"], [404, '{"detail": "Not Found"}'], [409, "{}"]] as const) {
    const own = new Client({ url: await server(t, (_, answered) => void answered.writeHead(status).end(text)) });
    for (const call of [own.info(), own.collection("a").exists("b/c"), own.collection("a").get("b/c")]) {
      await assert.rejects(call, { name: "Refused", status, code: undefined });
    }
  }
  const other = await server(t, (_, answered) => void answered.end("{}"));
  await assert.rejects(new Client({ url: other }).collection("a").attend([1]), { message: /not softkv's/ });
});

test("another program's answer is not the result of a write, and not a count", async (t) => {
  for (const text of ["[]", "{}", '{"id": 3}', '"ok"', "1", '{"upserted": "1", "deleted": null, "name": 1}']) {
    const own = new Client({ url: await server(t, (_, answered) => void answered.end(text)) }).collection("a");
    for (const call of [
      () => own.create({ existOk: true }),
      () => own.put("x", {}),
      () => own.patch("x", {}),
      () => own.write([]),
      () => own.update({ ids: ["x"] }, {}),
      () => own.delete({ ids: ["x"] }),
      () => own.remove("x"),
      () => own.drop(),
      () => own.upsert([{ id: "x" }]),
      () => own.giveFeedback([]),
      () => own.deleteFeedback({ all: true } as never),
      () => own.count(),
    ]) {
      await assert.rejects(call, { name: "Refused", message: /not softkv's/ }, text);
    }
  }
});

test("a redirect is refused, with the address to give", async (t) => {
  const asked: string[] = [];
  let to = `${URL_OF_SERVICE}/below`;
  let status = 301;
  const url = await server(t, (heard, answered) => {
    asked.push(`${heard.method} ${heard.url}`);
    answered.writeHead(status, { Location: to + (to.endsWith("login") ? "" : heard.url) }).end();
  });
  const own = new Client({ url }).collection("a");
  for (status of [301, 302, 303, 307, 308]) {
    for (const call of [() => own.giveFeedback([]), () => own.delete({ ids: ["x"] }), () => own.attend([1]), () => own.info()]) {
      await assert.rejects(call, (error: Refused) => {
        assert.deepEqual([error.name, error.status, error.code], ["Refused", status, undefined]);
        assert.match(error.message, /redirects to http:\S+\/below\/v1\/collections\/a\S*: give http:\S+\/below as url$/);
        return true;
      });
    }
  }
  assert.equal(asked.length, 20);
  [to, status] = ["/login", 302];
  await assert.rejects(own.delete({ ids: ["x"] }), /redirects to http:\S+\/login: give the address of the service itself as url/);
  const opaque = { type: "opaqueredirect", status: 0, ok: false, headers: new Headers() } as Response;
  const browser = new Client({ url, fetch: async (_, init) => (assert.equal(init.redirect, "manual"), opaque) });
  await assert.rejects(browser.info(), { name: "Refused", message: /redirects to an address that the browser does not tell/ });
});

test("keys", async (t) => {
  const keys: (string | undefined)[] = [];
  const url = await server(t, (asked, answered) => {
    keys.push(asked.headers.authorization);
    refuse(answered, 401, "key_refused");
  });
  let key: string | undefined = "first";
  const own = new Client({ url, key: () => key });
  await assert.rejects(own.info(), KeyRefused);
  key = undefined;
  await assert.rejects(own.info(), KeyRefused);
  await assert.rejects(own.withOptions({ key: "third" }).info(), KeyRefused);
  assert.deepEqual(keys, ["Bearer first", undefined, "Bearer third"]);
  await assert.rejects(new Client({ url, key: "a\nb" }).info(), /the key has a line break/);
});

test("addresses that are none", () => {
  assert.throws(() => new Client({ url: "localhost" }), {
    name: "Invalid",
    message: /is not a URL: give one such as http/,
  });
  assert.throws(() => new Client({ url: "ftp://localhost" }), /is not an http address/);
  assert.throws(() => new Client({ url: "http://localhost/v1/" }), /ends in \/v1, which the client adds/);
  assert.throws(() => new Client({ url: "http://me:secret@localhost:1" }), (error: Invalid) => {
    assert.match(error.message, /the URL of localhost:1 has a user or a password/);
    return !error.message.includes("secret");
  });
  assert.throws(() => client.collection("a/b"), Invalid);
});

test("every error is one of the client's", async () => {
  const error = await client
    .collection("typescript-not-there")
    .info()
    .catch((failure: unknown) => failure);
  assert.ok(error instanceof SoftkvError && error instanceof Error);
  assert.equal(error.detail, error.message);
  assert.match(String(error), /^NotFound: there is no collection/);
  assert.match(String(error.stack), /failing\.test|NotFound|Error/);
});

test("a function in place of fetch", async () => {
  const asked: [string, string | undefined][] = [];
  const fetch = (url: string, init: RequestInit) => {
    asked.push([url, init.method]);
    return globalThis.fetch(`${URL_OF_SERVICE}${url}`, init);
  };
  const own = new Client({ url: "", fetch });
  assert.equal(await own.alive(), true);
  assert.deepEqual(asked, [["/livez", "GET"]]);
});

test("what Node itself gives up is late, and not asked again", async () => {
  let asked = 0;
  const fetch = async () => {
    asked++;
    throw new TypeError("fetch failed", {
      cause: Object.assign(new Error("late"), { code: "UND_ERR_HEADERS_TIMEOUT" }),
    });
  };
  await assert.rejects(new Client({ fetch }).info(), {
    name: "TimedOut",
    message: /fetch failed, UND_ERR_HEADERS_TIMEOUT/,
  });
  assert.equal(asked, 1);
});

test("a signal of many calls is let go by each", async (t) => {
  const busy = await server(t, (_, answered) => refuse(answered, 429, "queue_full", { "Retry-After": "0" }));
  const controller = new AbortController();
  const { signal } = controller;
  for (let at = 0; at < 20; at++) await client.alive({ signal });
  await assert.rejects(new Client({ url: busy }).info({ signal }), Busy);
  await assert.rejects(new Client({ url: await nowhere() }).info({ signal, retries: 1 }), Unreachable);
  assert.equal(getEventListeners(signal, "abort").length, 0);
});
