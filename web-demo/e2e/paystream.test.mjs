/** The client's logic alone, over an EventSource and a clock of the test's own. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { watchPayment } from "../paystream.js";

class FakeEventSource extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 2;
  /** @type {FakeEventSource[]} */
  static all = [];
  static get last() {
    const last = FakeEventSource.all.at(-1);
    assert(last, "no connection was opened");
    return last;
  }

  readyState = 1;
  /** @type {((message: { data: string, lastEventId: string }) => void) | undefined} */
  onmessage;
  /** @type {(() => void) | undefined} */
  onerror;

  /** @param {string} url @param {EventSourceInit} [options] */
  constructor(url, { withCredentials = false } = {}) {
    super();
    this.url = new URL(url);
    this.withCredentials = withCredentials;
    FakeEventSource.all.push(this);
  }

  close() {
    this.readyState = FakeEventSource.CLOSED;
  }

  /** @param {object} frame @param {string} [id] */
  say(frame, id = "") {
    if (this.readyState !== FakeEventSource.CLOSED) this.onmessage?.({ data: JSON.stringify(frame), lastEventId: id });
  }

  /** @param {number} seq */
  beat(seq) {
    this.dispatchEvent(new MessageEvent("heartbeat", { data: JSON.stringify({ seq }) }));
  }

  die() {
    this.close();
    this.onerror?.();
  }
}

const snapshot = (/** @type {number} */ seq, status = "created") => {
  const timeline = Array.from({ length: seq }, (_, index) => ({ id: `evt_${index + 1}`, type: "t" }));
  return { v: 1, type: "snapshot", payment: "pi_1", seq, status, timeline, up_to_date: true };
};

const update = (/** @type {number} */ seq, status = "processing") => ({
  v: 1, type: "update", payment: "pi_1", seq, prev: seq - 1, status, event: { id: `evt_${seq}`, type: "t" }, up_to_date: true,
});

/** What the page was told. @type {{ statuses: string[], events: string[], connections: string[] }} */
let told;
/** @type {import("../paystream.js").PaymentWatch | undefined} */
let watch;
/** What a plain request is answered by. */
let answer = 200;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  FakeEventSource.all = [];
  told = { statuses: [], events: [], connections: [] };
  Object.assign(globalThis, { EventSource: FakeEventSource, fetch: async () => ({ status: answer }) });
});

afterEach(() => {
  watch?.close();
  mock.timers.reset();
});

/** Lets promises that are settled be heard. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** @param {Partial<import("../paystream.js").Options>} [options] */
async function start(options) {
  watch = watchPayment({
    url: "http://gateway.test",
    payment: "pi_1",
    onStatus: ({ status }) => told.statuses.push(status),
    onEvent: ({ id }) => told.events.push(id),
    onConnection: (connection) => told.connections.push(connection),
    ...options,
  });
  await settle();
}

/** @param {number} ms */
async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

test("a snapshot and its updates arrive in order", async () => {
  await start();
  FakeEventSource.last.say(snapshot(1), "a-1");
  FakeEventSource.last.say(update(2), "b-2");
  FakeEventSource.last.say(update(3, "captured"), "c-3");
  assert.deepEqual(told.statuses, ["created", "processing", "captured"]);
  assert.deepEqual(told.events, ["evt_2", "evt_3"]);
  assert.deepEqual(told.connections, ["connecting", "live"]);
});

test("a duplicate is dropped", async () => {
  await start();
  FakeEventSource.last.say(snapshot(2), "b-2");
  FakeEventSource.last.say(update(2), "b-2");
  FakeEventSource.last.say(update(1), "a-1");
  assert.deepEqual(told.events, []);
  assert.deepEqual(told.statuses, ["created"]);
});

test("a hole is asked for again, from the last event that was accepted", async () => {
  await start();
  FakeEventSource.last.say(snapshot(1), "a-1");
  FakeEventSource.last.say(update(3), "c-3");
  assert.deepEqual(told.events, []);
  await pass(1_000);
  assert.equal(FakeEventSource.all.length, 2);
  assert.equal(FakeEventSource.last.url.searchParams.get("last_event_id"), "a-1");
  FakeEventSource.last.say({ ...update(2), up_to_date: false }, "b-2");
  FakeEventSource.last.say(update(3), "c-3");
  assert.deepEqual(told.events, ["evt_2", "evt_3"]);
});

test("a hole that stays is answered by a snapshot", async () => {
  await start();
  FakeEventSource.last.say(snapshot(1), "a-1");
  FakeEventSource.last.say(update(3), "c-3");
  await pass(1_000);
  FakeEventSource.last.say(update(3), "c-3");
  await pass(2_000);
  assert.equal(FakeEventSource.last.url.searchParams.get("last_event_id"), null);
});

test("a heartbeat that knows more than the page is a hole", async () => {
  await start();
  FakeEventSource.last.say(snapshot(1), "a-1");
  FakeEventSource.last.beat(1);
  await pass(1_000);
  assert.equal(FakeEventSource.all.length, 1);
  FakeEventSource.last.beat(2);
  await pass(1_000);
  assert.equal(FakeEventSource.all.length, 2);
});

test("silence opens a new connection, and heartbeats keep the old one", async () => {
  await start({ heartbeatMs: 1_000 });
  FakeEventSource.last.say(snapshot(1), "a-1");
  for (let beat = 0; beat < 5; beat += 1) {
    await pass(2_000);
    FakeEventSource.last.beat(1);
  }
  assert.equal(FakeEventSource.all.length, 1);
  await pass(2_500);
  assert.equal(FakeEventSource.all.length, 2);
  assert.equal(FakeEventSource.all[0]?.readyState, FakeEventSource.CLOSED);
  assert.equal(FakeEventSource.last.url.searchParams.get("last_event_id"), "a-1");
  FakeEventSource.last.say({ type: "ready", seq: 1, up_to_date: true }, "a-1");
  assert.deepEqual(told.connections, ["connecting", "live", "reconnecting", "live"]);
});

test("a page shown for the first time opens one connection, and one that comes back from the browser's cache looks again", async (t) => {
  const page = new EventTarget();
  Object.assign(globalThis, { addEventListener: page.addEventListener.bind(page) });
  t.after(() => Reflect.deleteProperty(globalThis, "addEventListener"));
  const show = (/** @type {boolean} */ persisted) => page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted }));
  let asked = 0;
  await start({ getToken: async () => `token-${(asked += 1)}` });
  FakeEventSource.last.readyState = FakeEventSource.CONNECTING;
  show(false);
  await settle();
  assert.deepEqual([asked, FakeEventSource.all.length], [1, 1]);
  FakeEventSource.last.readyState = FakeEventSource.CLOSED;
  show(true);
  await settle();
  assert.deepEqual([asked, FakeEventSource.all.length], [2, 2]);
});

test("an expired token is replaced, and the stream goes on where it was", async () => {
  let given = 0;
  await start({ getToken: async () => `token-${(given += 1)}` });
  FakeEventSource.last.say(snapshot(1), "a-1");
  FakeEventSource.last.say({ type: "closing", reason: "token_expired" }, "a-1");
  await pass(1_000);
  assert.equal(FakeEventSource.last.url.searchParams.get("access_token"), "token-2");
  assert.equal(FakeEventSource.last.url.searchParams.get("last_event_id"), "a-1");
});

test("a token that cannot be had now is asked for later", async () => {
  let asked = 0;
  await start({
    getToken: async () => {
      asked += 1;
      if (asked < 3) throw new Error("the shop is away");
      return "token";
    },
  });
  await pass(1_000);
  await pass(2_000);
  assert.equal(asked, 3);
  assert.equal(FakeEventSource.all.length, 1);
});

test("other closings are left to the browser, which knows the gateway's delay", async () => {
  await start();
  FakeEventSource.last.say(snapshot(1), "a-1");
  FakeEventSource.last.say({ type: "closing", reason: "drain" }, "a-1");
  await pass(10_000);
  assert.equal(FakeEventSource.all.length, 1);
});

test("finished is the end", async () => {
  await start({ until: "finished" });
  FakeEventSource.last.say(snapshot(1, "captured"), "a-1");
  FakeEventSource.last.say({ type: "closing", reason: "finished" }, "a-1");
  await pass(120_000);
  assert.equal(FakeEventSource.all.length, 1);
  assert.equal(FakeEventSource.last.readyState, FakeEventSource.CLOSED);
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
  test(`a connection ended for good by ${what} ${ends ? `is ${ends}` : "comes back"}`, async () => {
    answer = status;
    await start(token ? { getToken: async () => "token" } : {});
    FakeEventSource.last.say(snapshot(1), "a-1");
    FakeEventSource.last.die();
    await settle();
    await pass(1_000);
    assert.equal(told.connections.at(-1), ends ?? "reconnecting");
    assert.equal(FakeEventSource.all.length, ends ? 1 : 2);
  });
}

test("the answer that ended a connection is asked for from where the page is, not from where the connection began", async () => {
  /** @type {URL[]} */
  const asked = [];
  const fetch = async (/** @type {string} */ address) => {
    asked.push(new URL(address));
    return { status: 204 };
  };
  Object.assign(globalThis, { fetch });
  let given = 0;
  await start({ until: "finished", getToken: async () => `token-${(given += 1)}` });
  FakeEventSource.last.say(snapshot(1), "a-1");
  FakeEventSource.last.say(update(2, "captured"), "b-2");
  FakeEventSource.last.die();
  await settle();
  assert.deepEqual(
    asked.map(({ searchParams }) => [searchParams.get("last_event_id"), searchParams.get("access_token")]),
    [["b-2", "token-2"]],
  );
  assert.equal(told.connections.at(-1), "finished");
});

for (const { option, credentials } of [
  { option: { withCredentials: true }, credentials: "include" },
  { option: { withCredentials: false }, credentials: "same-origin" },
  { option: {}, credentials: "same-origin" },
]) {
  test(`with ${JSON.stringify(option)}, cookies go as ${credentials}, with the stream and with the plain request`, async () => {
    /** @type {(RequestInit | undefined)[]} */
    const asked = [];
    const fetch = async (/** @type {string} */ _, /** @type {RequestInit | undefined} */ init) => {
      asked.push(init);
      return { status: 401 };
    };
    Object.assign(globalThis, { fetch });
    await start(option);
    assert.equal(FakeEventSource.last.withCredentials, option.withCredentials ?? false);
    FakeEventSource.last.die();
    await settle();
    assert.deepEqual(asked.map((init) => init?.credentials), [credentials]);
  });
}

test("a callback for tokens that are cookies resolves to nothing, and is called again when the cookie has expired", async () => {
  let given = 0;
  await start({ withCredentials: true, getToken: async () => void (given += 1) });
  FakeEventSource.last.say(snapshot(1), "a-1");
  FakeEventSource.last.say({ type: "closing", reason: "token_expired" }, "a-1");
  await pass(1_000);
  assert.equal(given, 2);
  assert.equal(FakeEventSource.all.length, 2);
  assert.equal(FakeEventSource.last.url.searchParams.get("access_token"), null);
});

test("a token that cannot be had when a connection has died is asked for later", async () => {
  let given = 0;
  await start({
    getToken: async () => {
      given += 1;
      if (given === 2) throw new Error("the shop is away");
      return "token";
    },
  });
  FakeEventSource.last.say(snapshot(1), "a-1");
  FakeEventSource.last.die();
  await settle();
  await pass(1_000);
  assert.equal(told.connections.at(-1), "reconnecting");
  assert.equal(FakeEventSource.all.length, 2);
});

test("the pauses grow to half a minute and no further", async () => {
  answer = 503;
  await start();
  for (let failure = 0; failure < 8; failure += 1) {
    const before = FakeEventSource.all.length;
    FakeEventSource.last.die();
    await settle();
    await pass(Math.min(500 * 2 ** failure, 15_000) - 1);
    assert.equal(FakeEventSource.all.length, before, `too early after failure ${failure + 1}`);
    await pass(15_001);
    assert.equal(FakeEventSource.all.length, before + 1, `too late after failure ${failure + 1}`);
  }
});

test("a lost store is said, and its return too", async () => {
  await start();
  FakeEventSource.last.say(snapshot(1), "a-1");
  FakeEventSource.last.say({ type: "stale", stale: true }, "a-1");
  FakeEventSource.last.say({ type: "stale", stale: false }, "a-1");
  assert.deepEqual(told.connections, ["connecting", "live", "stale", "live"]);
});

test("a snapshot replaces what was known, even by less", async () => {
  await start();
  FakeEventSource.last.say(snapshot(3, "captured"), "c-3");
  FakeEventSource.last.say({ ...snapshot(2, "processing"), reason: "rolled_back" }, "x-2");
  FakeEventSource.last.say(update(3, "captured"), "y-3");
  assert.deepEqual(told.statuses, ["captured", "processing", "captured"]);
  assert.deepEqual(told.events, ["evt_3"]);
});

test("a closed watch does nothing more", async () => {
  await start();
  const source = FakeEventSource.last;
  watch?.close();
  source.say(snapshot(1), "a-1");
  await pass(120_000);
  assert.equal(FakeEventSource.all.length, 1);
  assert.deepEqual(told, { statuses: [], events: [], connections: ["connecting", "closed"] });
});
