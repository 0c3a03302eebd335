/** What one page leaves to the next, over a gateway and a clock of the test's own. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { watchPayment } from "../src/index.js";
import { FakeGateway, page, settle, snapshot, update } from "./gateway.mjs";

const KEY = "paystream http://gateway.test/v1/events?payment=pi_1&heartbeat=event";

/** @type {FakeGateway} */
let gateway;
/** @type {Map<string, string>} */
let kept;
/** @type {import("../src/index.js").PaymentWatch | undefined} */
let watch;

const storage = {
  getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
  setItem: (/** @type {string} */ key, /** @type {string} */ value) => void kept.set(key, value),
  removeItem: (/** @type {string} */ key) => void kept.delete(key),
};

beforeEach(() => {
  gateway = new FakeGateway();
  kept = new Map();
});

afterEach(async () => {
  watch?.close();
  await settle();
  mock.timers.reset();
});

/** A page that takes the place of the one before. @param {Partial<import("../src/index.js").Options>} [options] */
async function open(options) {
  watch?.close();
  const { told, ...callbacks } = page();
  watch = watchPayment({ url: "http://gateway.test", payment: "pi_1", storage, ...callbacks, ...options });
  await settle();
  return told;
}

test("the next page continues where the last one was, and is told what happened in between", async () => {
  await open();
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say(update(2), "b-2");
  const told = await open();
  assert.equal(gateway.stream.headers.get("last-event-id"), "b-2");
  assert.deepEqual(told.statuses, [], "nothing is shown before the gateway has admitted the page");
  await gateway.stream.say(update(3, "captured"), "c-3");
  assert.deepEqual(told, { statuses: ["captured"], events: ["evt_3"], connections: ["connecting", "live"] });
});

test("the next page shows what the last one showed once the gateway says that it is current", async () => {
  await open();
  await gateway.stream.say(snapshot(1), "a-1");
  const told = await open();
  await gateway.stream.say({ type: "ready", payment: "pi_1", seq: 1, up_to_date: true }, "a-1");
  assert.deepEqual(told, { statuses: ["created"], events: [], connections: ["connecting", "live"] });
});

test("a finished payment is shown by the next page too", async () => {
  await open({ until: "finished" });
  await gateway.stream.say(snapshot(1, "captured"), "a-1");
  gateway.answer = () => 204;
  const told = await open({ until: "finished" });
  assert.deepEqual(told, { statuses: ["captured"], events: [], connections: ["connecting", "finished"] });
});

test("a page that is refused shows nothing, and leaves nothing to the next one", async () => {
  await open();
  await gateway.stream.say(snapshot(1), "a-1");
  assert.deepEqual([...kept.keys()], [KEY]);
  gateway.answer = () => 403;
  const told = await open();
  assert.deepEqual(told, { statuses: [], events: [], connections: ["connecting", "refused"] });
  assert.deepEqual([...kept.keys()], []);
});

for (const wrong of [
  "", "{", "null", "7", "[]", "[null]", '[{"cursor":"a-1"}]', '[{"cursor":"a-1","state":{"payment":"pi_2","timeline":[]}}]',
  '[{"cursor":7,"state":{"payment":"pi_1","timeline":[]}}]', '[{"cursor":"a-1","state":{"payment":"pi_1","timeline":{}}}]',
]) {
  test(`what is kept as ${JSON.stringify(wrong)} counts as nothing`, async () => {
    kept.set(KEY, wrong);
    const told = await open();
    assert.equal(gateway.stream.headers.get("last-event-id"), null);
    await gateway.stream.say(snapshot(1), "a-1");
    assert.deepEqual(told, { statuses: ["created"], events: [], connections: ["connecting", "live"] });
  });
}

test("a storage that is full or forbidden costs the page nothing", async () => {
  const fails = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  const told = await open({ storage: { getItem: fails, setItem: fails, removeItem: fails } });
  await gateway.stream.say(snapshot(1), "a-1");
  await gateway.stream.say(update(2), "b-2");
  assert.deepEqual(told, { statuses: ["created", "processing"], events: ["evt_2"], connections: ["connecting", "live"] });
  gateway.answer = () => 403;
  const refused = await open({ storage: { getItem: fails, setItem: fails, removeItem: fails } });
  assert.deepEqual(refused.connections, ["connecting", "refused"]);
});
