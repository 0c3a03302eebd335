/** The client's logic alone, over a gateway and a clock of the test's own. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { watchPayment, watchPayments } from "../src/index.js";
import { FakeGateway, page, pass, settle, snapshot, update } from "./gateway.mjs";

/** @type {FakeGateway} */
let gateway;
/** What the page was told. @type {ReturnType<typeof page>["told"]} */
let told;
/** @type {import("../src/index.js").PaymentWatch | undefined} */
let watch;

beforeEach(() => {
  gateway = new FakeGateway();
});

afterEach(async () => {
  watch?.close();
  await settle();
  mock.timers.reset();
});

/** @param {Partial<import("../src/index.js").Options>} [options] */
async function start(options) {
  const { told: list, ...callbacks } = page();
  told = list;
  watch = watchPayment({ url: "http://gateway.test", payment: "pi_1", ...callbacks, ...options });
  await settle();
}

test("a snapshot and its updates arrive in order", async () => {
  await start();
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say(update(2), "b-2");
  await gateway.stream.say(update(3, "captured"), "c-3");
  assert.deepEqual(told.statuses, ["created", "processing", "captured"]);
  assert.deepEqual(told.events, ["evt_2", "evt_3"]);
  assert.deepEqual(told.connections, ["connecting", "live"]);
});

test("an event may come in pieces, in one piece with others, and with any character in it", async () => {
  await start();
  const text = `retry: 1000\n:\nid: a-1\ndata: ${JSON.stringify({ ...snapshot(1), note: "\u2028: é" })}\n\n`;
  for (const character of text) await gateway.stream.write(character);
  await gateway.stream.write(`id: b-2\r\ndata:${JSON.stringify(update(2))}\r\n\r\nid: c-3\ndata: ${JSON.stringify(update(3))}\n\n`);
  assert.deepEqual(told.events, ["evt_2", "evt_3"]);
});

test("a duplicate is dropped", async () => {
  await start();
  await gateway.stream.say(snapshot(2), "b-2");
  await gateway.stream.say(update(2), "b-2");
  await gateway.stream.say(update(1), "a-1");
  await gateway.stream.say(snapshot(2), "b-2");
  assert.deepEqual(told.events, []);
  assert.deepEqual(told.statuses, ["created"]);
});

test("the token goes in a header, and never into an address", async () => {
  await start({ token: "secret" });
  assert.equal(gateway.stream.headers.get("authorization"), "Bearer secret");
  assert(!gateway.stream.url.href.includes("secret"));
});

test("a hole is asked for again, from the last event that was accepted", async () => {
  await start();
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say(update(3), "c-3");
  assert.deepEqual(told.events, []);
  await pass(1_000);
  assert.equal(gateway.streams.length, 2);
  assert.equal(gateway.stream.headers.get("last-event-id"), "a-1");
  await gateway.stream.say({ ...update(2), up_to_date: false }, "b-2");
  await gateway.stream.say(update(3), "c-3");
  assert.deepEqual(told.events, ["evt_2", "evt_3"]);
});

test("a hole that stays is answered by a snapshot, which tells the events that were missing", async () => {
  await start();
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say(update(3), "c-3");
  await pass(1_000);
  await gateway.stream.say(update(3), "c-3");
  await pass(2_000);
  assert.equal(gateway.stream.headers.get("last-event-id"), null);
  await gateway.stream.say(snapshot(3), "c-3");
  assert.deepEqual(told.events, ["evt_2", "evt_3"]);
});

test("a heartbeat that knows more than the page is a hole", async () => {
  await start();
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.beat(1);
  await pass(1_000);
  assert.equal(gateway.streams.length, 1);
  await gateway.stream.beat(2);
  await pass(1_000);
  assert.equal(gateway.streams.length, 2);
});

test("silence opens a new connection, and heartbeats keep the old one", async () => {
  await start({ heartbeatMs: 1_000 });
  await gateway.stream.say(snapshot(1), "a-1");
  for (let beat = 0; beat < 5; beat += 1) {
    await pass(2_000);
    await gateway.stream.beat(1);
  }
  assert.equal(gateway.streams.length, 1);
  await pass(2_500);
  await pass(0);
  assert.equal(gateway.streams.length, 2);
  assert.equal(gateway.streams[0]?.isOpen, false);
  assert.equal(gateway.stream.headers.get("last-event-id"), "a-1");
  await gateway.stream.say({ type: "ready", payment: "pi_1", seq: 1, up_to_date: true }, "a-1");
  assert.deepEqual(told.connections, ["connecting", "live", "reconnecting", "live"]);
});

test("a page shown for the first time opens one connection, and one that comes back from the browser's cache looks again", async (t) => {
  const page = new EventTarget();
  Object.assign(globalThis, { addEventListener: page.addEventListener.bind(page) });
  t.after(() => Reflect.deleteProperty(globalThis, "addEventListener"));
  const show = (/** @type {boolean} */ persisted) => page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted }));
  let asked = 0;
  await start({ getToken: async () => `token-${(asked += 1)}` });
  show(false);
  await settle();
  assert.deepEqual([asked, gateway.streams.length], [1, 1]);
  show(true);
  await pass(0);
  assert.deepEqual([asked, gateway.streams.length], [2, 2]);
  // A page that has lost its connection does not wait for its timer when it is seen or when the network is back.
  for (const [index, what] of ["visibilitychange", "online"].entries()) {
    await gateway.stream.break();
    page.dispatchEvent(new Event(what));
    await settle();
    assert.equal(gateway.streams.length, 3 + index, what);
  }
});

test("an expired token is replaced, and the stream goes on where it was", async () => {
  let given = 0;
  await start({ getToken: async () => `token-${(given += 1)}` });
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say({ type: "closing", reason: "token_expired" }, "a-1");
  await gateway.stream.break();
  await pass(1_000);
  assert.equal(gateway.stream.headers.get("authorization"), "Bearer token-2");
  assert.equal(gateway.stream.headers.get("last-event-id"), "a-1");
});

test("a token that cannot be had now is asked for later, and one that never comes is given up", async () => {
  let asked = 0;
  await start({
    getToken: () => {
      asked += 1;
      if (asked === 1) throw new Error("the shop is away");
      if (asked === 2) return Promise.reject(new Error("the shop is away"));
      if (asked === 3) return new Promise(() => {});
      return "token";
    },
    heartbeatMs: 1_000,
  });
  await pass(1_000);
  await pass(2_000);
  assert.equal(asked, 3);
  await pass(7_500);
  await pass(0);
  assert.equal(asked, 4);
  assert.equal(gateway.streams.length, 1);
});

test("a gateway that closes is come back to after the delay that it has chosen", async () => {
  await start();
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.write(`retry: 9000\nid: a-1\ndata: {"type":"closing","reason":"drain"}\n\n`);
  await gateway.stream.break();
  await pass(8_999);
  assert.equal(gateway.streams.length, 1);
  await pass(1);
  assert.equal(gateway.streams.length, 2);
});

for (const { retry, pauseMs } of [
  { retry: "soon", pauseMs: 500 },
  { retry: "0", pauseMs: 500 },
  { retry: "99999999999", pauseMs: 600_000 },
]) {
  test(`a delay of ${retry} is no reason to come back at once`, async () => {
    await start();
    await gateway.stream.write(`retry: ${retry}\nid: a-1\ndata: ${JSON.stringify(snapshot(1))}\n\n`);
    await gateway.stream.break();
    await pass(pauseMs - 1);
    assert.equal(gateway.streams.length, 1);
    await pass(501);
    assert.equal(gateway.streams.length, 2);
  });
}

test("a message about another payment is none of the page's", async () => {
  await start();
  await gateway.stream.say(snapshot(1, "captured", "pi_2"), "a-1");
  await gateway.stream.say(snapshot(1), "a-1");
  assert.deepEqual(told.statuses, ["created"]);
});

test("a token that comes too late opens nothing", async () => {
  /** @type {((token: string) => void)[]} */
  const give = [];
  await start({ getToken: () => new Promise((resolve) => give.push(resolve)), heartbeatMs: 1_000 });
  await pass(7_500);
  assert.equal(give.length, 2);
  give[1]?.("second");
  await settle();
  give[0]?.("first");
  await settle();
  assert.deepEqual(gateway.asked.map(({ headers }) => headers.get("authorization")), ["Bearer second"]);
});

test("finished is the end", async () => {
  await start({ until: "finished" });
  await gateway.stream.say(snapshot(1, "captured"), "a-1");
  await gateway.stream.say({ type: "closing", reason: "finished" }, "a-1");
  await pass(120_000);
  assert.equal(gateway.asked.length, 1);
  assert.equal(gateway.stream.isOpen, false);
  assert.equal(gateway.stream.url.searchParams.get("until"), "finished");
  assert.deepEqual(told.connections, ["connecting", "live", "finished"]);
});

for (const { status, token, ends } of [
  { status: 204, token: true, ends: "finished" },
  { status: 403, token: true, ends: "refused" },
  { status: 401, token: false, ends: "refused" },
  { status: 401, token: true, ends: undefined },
  { status: 503, token: false, ends: undefined },
]) {
  const what = `${status} ${token ? "with" : "without"} a callback for tokens`;
  test(`a connection answered by ${what} ${ends ? `is ${ends}` : "comes back"}`, async () => {
    await start(token ? { getToken: async () => "token" } : {});
    await gateway.stream.say(snapshot(1), "a-1");
    await gateway.stream.break();
    await pass(1_000);
    await gateway.stream.respond(status);
    await pass(2_000);
    assert.equal(told.connections.at(-1), ends ?? "reconnecting");
    assert.equal(gateway.streams.length, ends ? 2 : 3);
  });
}

test("an answer that is no stream, such as a login page of a hotel's network, is none of the gateway's", async () => {
  await start();
  await gateway.stream.write("<h1>Welcome</h1>\n\n", "text/html");
  await pass(1_000);
  assert.equal(gateway.streams.length, 2);
  await gateway.stream.write("data: <h1>\n\n");
  await pass(2_000);
  assert.equal(gateway.streams.length, 3);
  assert.deepEqual(told, { statuses: [], events: [], connections: ["connecting"] });
});

test("a line without an end does not fill the memory", async () => {
  await start();
  await gateway.stream.say(snapshot(1), "a-1");
  for (let piece = 0; piece < 5; piece += 1) await gateway.stream.write("x".repeat(1_000_000));
  assert.equal(gateway.stream.isOpen, false);
  assert.equal(told.connections.at(-1), "reconnecting");
});

for (const { option, credentials } of [
  { option: { withCredentials: true }, credentials: "include" },
  { option: { withCredentials: false }, credentials: "same-origin" },
  { option: {}, credentials: "same-origin" },
]) {
  test(`with ${JSON.stringify(option)}, cookies go as ${credentials}, with the stream and with polls`, async () => {
    await start(option);
    await pass(5_000);
    assert.deepEqual(gateway.asked.map(({ isStream, init }) => [isStream, init.credentials]), [[true, credentials], [false, credentials]]);
  });
}

test("a callback for tokens that are cookies resolves to nothing, and is called again when the cookie has expired", async () => {
  let given = 0;
  await start({ withCredentials: true, getToken: async () => void (given += 1) });
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say({ type: "closing", reason: "token_expired" }, "a-1");
  await gateway.stream.break();
  await pass(1_000);
  assert.equal(given, 2);
  assert.equal(gateway.streams.length, 2);
  assert.equal(gateway.stream.headers.get("authorization"), null);
});

test("the pauses grow to half a minute and no further", async () => {
  gateway.answer = () => 503;
  await start();
  for (let failure = 0; failure < 8; failure += 1) {
    const before = gateway.streams.length;
    await pass(Math.min(500 * 2 ** failure, 15_000) - 1);
    assert.equal(gateway.streams.length, before, `too early after failure ${failure + 1}`);
    await pass(Math.min(500 * 2 ** failure, 15_000) + 1);
    assert.equal(gateway.streams.length, before + 1, `too late after failure ${failure + 1}`);
  }
});

test("a lost store is said, and its return too", async () => {
  await start();
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say({ type: "stale", stale: true }, "a-1");
  await gateway.stream.say({ type: "stale", stale: false }, "a-1");
  assert.deepEqual(told.connections, ["connecting", "live", "stale", "live"]);
});

test("a message of a kind that a later gateway sends is passed over", async () => {
  await start();
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say({ type: "hint", payment: "pi_1" }, "a-1");
  await gateway.stream.write("event: news\ndata: {}\n\n");
  await gateway.stream.say(update(2), "b-2");
  assert.deepEqual(told.events, ["evt_2"]);
  assert.equal(gateway.streams.length, 1);
});

test("a snapshot replaces what was known, even by less", async () => {
  await start();
  await gateway.stream.say(snapshot(3, "captured"), "c-3");
  await gateway.stream.say({ ...snapshot(2, "processing"), reason: "rolled_back" }, "x-2");
  await gateway.stream.say(update(3, "captured"), "y-3");
  assert.deepEqual(told.statuses, ["captured", "processing", "captured"]);
  assert.deepEqual(told.events, ["evt_3"]);
});

test("a closed watch does nothing more", async () => {
  await start();
  const { stream } = gateway;
  watch?.close();
  await stream.say(snapshot(1), "a-1");
  await pass(120_000);
  assert.equal(gateway.asked.length, 1);
  assert.equal(stream.isOpen, false);
  assert.deepEqual(told, { statuses: [], events: [], connections: ["connecting", "closed"] });
});

test("a watch that is closed in a callback calls no other", async () => {
  await start({ onStatus: () => watch?.close() });
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say(update(2), "b-2");
  assert.deepEqual(told, { statuses: [], events: [], connections: ["connecting", "closed"] });
});

test("an error in a callback is the page's: it is reported, and the stream goes on", async (t) => {
  const errors = t.mock.method(globalThis, "queueMicrotask", (/** @type {() => void} */ thrower) => assert.throws(thrower, /the page's/));
  await start({
    onStatus: () => {
      throw new Error("the page's");
    },
  });
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say(update(2), "b-2");
  assert.equal(errors.mock.callCount(), 2);
  assert.deepEqual(told.events, ["evt_2"]);
  assert.equal(gateway.streams.length, 1);
});

test("several payments come over one connection, and are continued each from its own place", async () => {
  const { told, ...callbacks } = page();
  watch = watchPayments({ url: "http://gateway.test/base/", payments: ["pi_1", "pi/2"], ...callbacks });
  await settle();
  assert.equal(gateway.stream.url.pathname, "/base/v1/events");
  assert.deepEqual(gateway.stream.url.searchParams.getAll("payment"), ["pi_1", "pi/2"]);
  await gateway.stream.say(snapshot(1), "a-1.0-0");
  assert.deepEqual(told.connections, ["connecting"], "the other one has not come yet");
  await gateway.stream.say(snapshot(0, "unknown", "pi/2"), "a-1.0-0");
  await gateway.stream.say(update(1, "captured", "pi/2"), "a-1.b-1");
  assert.deepEqual(told, { statuses: ["created", "unknown", "captured"], events: ["evt_1"], connections: ["connecting", "live"] });
  await gateway.stream.beat([1, 1]);
  await gateway.stream.beat([1, 2]);
  await pass(1_000);
  assert.equal(gateway.stream.headers.get("last-event-id"), "a-1.b-1");
});

test("of several payments, one that never came is begun anew while the other goes on", async () => {
  watch = watchPayments({ url: "http://gateway.test", payments: ["pi_1", "pi_2"] });
  await settle();
  await gateway.stream.say(snapshot(1), "a-1.0-0");
  await gateway.stream.break();
  await pass(1_000);
  assert.equal(gateway.stream.headers.get("last-event-id"), "a-1.-");
});

test("iterated, a watch yields the newest state and ends with the payment", async () => {
  await start({ until: "finished" });
  const iterator = /** @type {import("../src/index.js").PaymentWatch} */ (watch)[Symbol.asyncIterator]();
  const next = async () => (await iterator.next()).value?.status;
  const first = next();
  await gateway.stream.say(snapshot(1), "a-1");
  assert.equal(await first, "created");
  await gateway.stream.say(update(2), "b-2");
  await gateway.stream.say(update(3, "authorized"), "c-3");
  assert.equal(await next(), "authorized", "what a slow reader has no time for is passed over");
  await gateway.stream.say(update(4, "captured"), "d-4");
  await gateway.stream.say({ type: "closing", reason: "finished" }, "d-4");
  assert.equal(await next(), "captured");
  assert.deepEqual(await iterator.next(), { done: true, value: undefined });
});

test("an iteration that is left closes the watch, and one that is refused fails", async () => {
  await start();
  await gateway.stream.say(snapshot(1), "a-1");
  for await (const { status } of /** @type {import("../src/index.js").PaymentWatch} */ (watch)) {
    assert.equal(status, "created");
    break;
  }
  assert.equal(watch?.connection, "closed");
  await start();
  await gateway.stream.respond(403);
  await assert.rejects(async () => {
    for await (const _ of /** @type {import("../src/index.js").PaymentWatch} */ (watch));
  }, /refused/);
});
