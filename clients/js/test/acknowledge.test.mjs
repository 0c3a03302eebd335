/** What a page tells the gateway of what it has shown, over a gateway and a clock of the test's own. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { watchPayment } from "../src/index.js";
import { FakeGateway, settle, snapshot, update } from "./gateway.mjs";

/** @type {FakeGateway} */
let gateway;
/** @type {import("../src/index.js").PaymentWatch | undefined} */
let watch;
/** What waits until the page is painted. @type {(() => void)[]} */
let frames = [];

beforeEach(() => {
  gateway = new FakeGateway();
  frames = [];
  // @ts-expect-error as far as the client needs it
  globalThis.requestAnimationFrame = (/** @type {() => void} */ frame) => frames.push(frame);
});

afterEach(async () => {
  watch?.close();
  // @ts-expect-error Node has none
  delete globalThis.requestAnimationFrame;
  await settle();
  mock.timers.reset();
});

/** @param {Partial<import("../src/index.js").Options>} [options] */
async function start(options) {
  watch = watchPayment({ url: "http://gateway.test", payment: "pi_1", share: false, token: "t", ...options });
  await settle();
}

const paint = () => frames.splice(0).forEach((frame) => frame());

/** What the gateway was told. */
const said = () => gateway.asked.filter(({ init }) => init.method === "POST").map(({ url, init }) => [url.pathname, String(init.body)]);

test("a page that acknowledges tells what it has shown once that is painted, with its token in a header", async () => {
  await start({ acknowledge: true });
  await gateway.stream.say(snapshot(1), "a-1");
  // Of what comes in one go, the last is told.
  await gateway.stream.say({ ...update(2), up_to_date: false }, "b-2");
  assert.deepEqual(said(), [], "a hidden page is not painted");
  await gateway.stream.say(update(3), "c-3");
  paint();
  assert.deepEqual(said(), [1, 3].map((seq) => ["/v1/payments/pi_1/shown", JSON.stringify({ seq })]));
  const [asked] = gateway.asked.filter(({ init }) => init.method === "POST");
  assert.equal(asked?.headers.get("authorization"), "Bearer t");
  assert.equal(asked?.headers.get("content-type"), null, "a text, as fetch says by itself");
  assert.equal(asked?.url.search, "", "the token is not in the address");
});

test("what a poll brought is told too", async () => {
  await start({ acknowledge: true });
  mock.timers.tick(5_000);
  await settle();
  const { v, up_to_date, ...state } = snapshot(2);
  await gateway.poll.respond(200, { v, ...state }, { etag: '"b-2.1"' });
  paint();
  assert.deepEqual(said(), [["/v1/payments/pi_1/shown", '{"seq":2}']]);
});

test("a page that does not ask for it tells nothing", async () => {
  await start();
  await gateway.stream.say(snapshot(1), "a-1");
  paint();
  assert.deepEqual(said(), []);
});

test("an acknowledgement that fails is the end of nothing", async () => {
  gateway.answer = ({ init }) => (init.method === "POST" ? 429 : undefined);
  await start({ acknowledge: true });
  await gateway.stream.say(snapshot(1), "a-1");
  paint();
  await settle();
  assert.equal(said().length, 1);
  await gateway.stream.say(update(2), "b-2");
  assert.equal(watch?.connection, "live");
});
