/** A gateway and a clock of the test's own, in place of `fetch`, `setTimeout` and `Date`. */

import assert from "node:assert/strict";
import { mock } from "node:test";

/** Lets promises that are settled be heard. */
export async function settle() {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** @param {number} ms */
export async function pass(ms) {
  await settle();
  mock.timers.tick(ms);
  await settle();
}

export const snapshot = (/** @type {number} */ seq, status = "created", payment = "pi_1") => {
  const timeline = Array.from({ length: seq }, (_, index) => ({ id: `evt_${index + 1}`, type: "t" }));
  return { v: 1, type: "snapshot", payment, seq, status, timeline, up_to_date: true };
};

export const update = (/** @type {number} */ seq, status = "processing", payment = "pi_1") => ({
  v: 1, type: "update", payment, seq, prev: seq - 1, status, event: { id: `evt_${seq}`, type: "t" }, up_to_date: true,
});

/** One request, which is answered as the test says. */
class Asked {
  url;
  headers;
  init;
  answer;
  /** @type {(answer: Response) => void} */
  #respond = () => {};
  /** @type {(reason: unknown) => void} */
  #reject = () => {};
  /** @type {ReadableStreamDefaultController<Uint8Array> | undefined} */
  #body;

  /** @param {string} url @param {RequestInit} init */
  constructor(url, init) {
    this.url = new URL(url);
    this.init = init;
    this.headers = new Headers(init.headers);
    this.answer = new Promise((resolve, reject) => {
      this.#respond = resolve;
      this.#reject = reject;
      init.signal?.addEventListener("abort", () => this.break());
    });
    this.answer.catch(() => {});
  }

  get isStream() {
    return this.headers.get("accept") === "text/event-stream";
  }

  get isOpen() {
    return !this.init.signal?.aborted;
  }

  /** @param {number} status @param {object} [body] @param {Record<string, string>} [headers] */
  async respond(status, body, headers = {}) {
    this.#respond(new Response(body ? JSON.stringify(body) : null, { status, headers }));
    await settle();
  }

  /** Begins the stream, if need be, and writes a text. @param {string} text */
  async write(text, type = "text/event-stream") {
    if (!this.#body) {
      const body = new ReadableStream({ start: (controller) => void (this.#body = controller) });
      this.#respond(new Response(body, { headers: { "content-type": type } }));
    }
    if (this.isOpen) this.#body?.enqueue(new TextEncoder().encode(text));
    await settle();
  }

  /** @param {object} frame @param {string} [id] */
  async say(frame, id = "") {
    await this.write(`id: ${id}\ndata: ${JSON.stringify(frame)}\n\n`);
  }

  /** @param {number | number[]} seq */
  async beat(seq) {
    await this.write(`event: heartbeat\nid: x\ndata: ${JSON.stringify({ seq })}\n\n`);
  }

  /** The connection breaks off. */
  async break() {
    const body = this.#body;
    this.#body = undefined;
    this.#reject(new TypeError("network"));
    body?.error(new TypeError("network"));
    await settle();
  }

  /** The answer ends as it should. */
  async end() {
    const body = this.#body;
    this.#body = undefined;
    body?.close();
    await settle();
  }
}

/** What was asked so far. */
export class FakeGateway {
  /** @type {Asked[]} */
  asked = [];
  /** Answers a request at once, if it returns a status. @type {(asked: Asked) => number | undefined} */
  answer = () => undefined;

  constructor() {
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_800_000_000_000 });
    globalThis.fetch = async (url, init = {}) => {
      const asked = new Asked(String(url), init);
      this.asked.push(asked);
      const status = this.answer(asked);
      if (status !== undefined) return new Response(null, { status });
      return asked.answer;
    };
  }

  get streams() {
    return this.asked.filter(({ isStream }) => isStream);
  }

  get polls() {
    return this.asked.filter(({ isStream }) => !isStream);
  }

  /** The newest stream. */
  get stream() {
    const stream = this.streams.at(-1);
    assert(stream, "no stream was opened");
    return stream;
  }

  /** The newest poll. */
  get poll() {
    const poll = this.polls.at(-1);
    assert(poll, "nothing was polled");
    return poll;
  }
}

/** What a page was told. */
export function page() {
  /** @type {{ statuses: string[], events: string[], connections: string[] }} */
  const told = { statuses: [], events: [], connections: [] };
  return {
    told,
    onStatus: (/** @type {{ status: string }} */ { status }) => void told.statuses.push(status),
    onEvent: (/** @type {{ id: string }} */ { id }) => void told.events.push(id),
    onConnection: (/** @type {string} */ connection) => void told.connections.push(connection),
  };
}
