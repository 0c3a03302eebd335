/** Long polls in place of a stream that a proxy withholds, over a gateway and a clock of the test's own. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { watchPayments } from "../src/index.js";
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

/** @param {Partial<import("../src/index.js").SeveralOptions>} [options] */
async function start(options) {
  const { told: list, ...callbacks } = page();
  told = list;
  watch = watchPayments({ url: "http://gateway.test", payments: ["pi_1"], ...callbacks, ...options });
  await settle();
}

test("a stream that says nothing for five seconds is replaced by polls, which tell each event", async () => {
  let given = 0;
  await start({ getToken: () => `token-${(given += 1)}` });
  await pass(4_999);
  assert.equal(gateway.polls.length, 0);
  await pass(1);
  assert.equal(gateway.poll.url.pathname, "/v1/payments/pi_1");
  assert.equal(gateway.poll.headers.get("if-none-match"), null);
  assert.equal(gateway.poll.headers.get("prefer"), null);
  await gateway.poll.respond(200, snapshot(1), { etag: '"a-1.3"' });
  assert.deepEqual(told, { statuses: ["created"], events: [], connections: ["connecting", "live"] });

  // The next poll waits for news, and beside it the stream is tried again from where the page is.
  await pass(0);
  assert.equal(gateway.stream.headers.get("last-event-id"), "a-1");
  assert.equal(gateway.poll.headers.get("if-none-match"), '"a-1.3"');
  assert.equal(gateway.poll.headers.get("prefer"), "wait=15");
  await pass(2_000);
  await gateway.poll.respond(200, snapshot(3, "captured"), { etag: 'W/"c-3.3"' });
  await pass(0);
  assert.equal(gateway.stream.headers.get("last-event-id"), "c-3");
  assert.deepEqual(told, { statuses: ["created", "captured"], events: ["evt_2", "evt_3"], connections: ["connecting", "live"] });
  assert.equal(gateway.asked.filter(({ isOpen }) => isOpen).length, 2, "no request of an earlier round is left");
  assert.equal(given, 1, "a round of polls needs no token of its own");
});

test("a stream that speaks during a poll is followed, and the poll's answer is not waited for", async () => {
  await start();
  await pass(5_000);
  const { poll } = gateway;
  await gateway.stream.say(snapshot(2), "b-2");
  assert.equal(poll.isOpen, false);
  await poll.respond(200, snapshot(1), { etag: '"a-1.3"' });
  await gateway.stream.say(update(3), "c-3");
  assert.deepEqual(told, { statuses: ["created", "processing"], events: ["evt_3"], connections: ["connecting", "live"] });
  assert.deepEqual([gateway.streams.length, gateway.polls.length], [1, 1]);
});

test("a finished payment ends the polls, since the stream's 204 has no body that could be withheld", async () => {
  await start({ until: "finished" });
  await pass(5_000);
  await gateway.poll.respond(200, snapshot(1, "captured"), { etag: '"a-1.3"' });
  await pass(0);
  await gateway.stream.respond(204);
  await pass(60_000);
  assert.deepEqual(told.connections, ["connecting", "live", "finished"]);
  assert.deepEqual([gateway.streams.length, gateway.polls.length], [2, 2]);
});

for (const { what, status, body } of [
  { what: "304 at once, as by a proxy that passes no Prefer on", status: 304, body: undefined },
  { what: "the same again, as by a proxy that passes no ETag on", status: 200, body: snapshot(1) },
]) {
  test(`polls that are answered by ${what}, do not become a flood`, async () => {
    await start();
    await pass(5_000);
    await gateway.poll.respond(200, snapshot(1), status === 304 ? { etag: '"a-1.3"' } : {});
    await pass(0);
    await gateway.poll.respond(status, body);
    const before = gateway.polls.length;
    await pass(2_999);
    assert.equal(gateway.polls.length, before);
    await pass(1);
    assert.equal(gateway.polls.length, before + 1);
    assert.deepEqual(told, { statuses: ["created"], events: [], connections: ["connecting", "live"] });
  });
}

for (const { status, ends } of [
  { status: 403, ends: "refused" },
  { status: 401, ends: "refused" },
  { status: 503, ends: "reconnecting" },
  { status: 200, ends: "reconnecting" },
]) {
  test(`a poll that is answered by ${status === 200 ? "something else than a snapshot" : status} leaves the page ${ends}`, async () => {
    await start();
    await pass(5_000);
    await gateway.poll.respond(200, snapshot(1), { etag: '"a-1.3"' });
    await pass(0);
    await gateway.poll.respond(status, status === 200 ? { welcome: true } : undefined);
    assert.equal(told.connections.at(-1), ends);
    assert.equal(gateway.stream.isOpen, false);
  });
}

test("a poll that nobody answers is given up after its wait and the watchdog's patience", async () => {
  await start({ heartbeatMs: 4_000 });
  await pass(5_000);
  await gateway.poll.respond(200, snapshot(1), { etag: '"a-1.3"' });
  await pass(0);
  assert.equal(gateway.poll.headers.get("prefer"), "wait=4");
  await pass(13_999);
  assert.equal(told.connections.at(-1), "live");
  await pass(1);
  assert.equal(told.connections.at(-1), "reconnecting");
});

test("several payments are polled one after the other, without a wait, and each is continued from its own place", async () => {
  await start({ payments: ["pi_1", "pi_2"] });
  await pass(5_000);
  await gateway.poll.respond(200, snapshot(1), { etag: '"a-1.3"' });
  assert.equal(gateway.poll.url.pathname, "/v1/payments/pi_2");
  await gateway.poll.respond(200, snapshot(2, "captured", "pi_2"), { etag: '"b-2.3"' });
  await pass(0);
  assert.equal(gateway.stream.headers.get("last-event-id"), "a-1.b-2");
  assert.equal(gateway.poll.headers.get("prefer"), "wait=0");
  assert.deepEqual(told, { statuses: ["created", "captured"], events: [], connections: ["connecting", "live"] });
});
