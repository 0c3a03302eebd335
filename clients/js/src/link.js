/**
 * The connection to the gateway: a stream, or long polls where a proxy withholds the stream.
 *
 * Over `fetch`, which every runtime has and which keeps the token out of the address, unlike an EventSource. Decides nothing
 * about when to come back.
 */

import { readEvents } from "./sse.js";

/** @typedef {import("./types.js").Settings} Settings */
/** @typedef {"finished" | "refused"} Verdict */

/** A stream that has said nothing for this long is withheld by a proxy, or waits for a connection. The gateway speaks at once. */
export const SLOW_MS = 5_000;

/** The pause after polls that were answered at once and brought nothing, as by a proxy that knows no `Prefer`. */
const IDLE_POLL_MS = 3_000;

/** A timer that is set for longer than 24 days runs out at once. No gateway asks for more than this. */
const LONGEST_RETRY_MS = 600_000;

/** How many connections browsers open to one HTTP/1.1 server. */
const CONNECTIONS = 6;

/** Resolves when `signal` is aborted. @param {AbortSignal} signal @returns {Promise<void>} */
export const aborted = (signal) =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve())));

/** Resolves after a time, or when `signal` is aborted. @param {number} ms @param {AbortSignal} signal */
export async function pause(ms, signal) {
  if (!ms) return;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  await Promise.race([aborted(signal), new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}

/** Web Locks, where there are tabs that share them. @returns {LockManager | undefined} */
export const locks = () => (globalThis.document && navigator.locks) || undefined;

export class Link {
  /** How long to wait before coming back, as the gateway has asked. */
  retryMs = 500 + Math.random() * 500;
  #settings;
  #payments;
  #ledger;
  #owner;
  #token = /** @type {string | void} */ (undefined);
  /** Whether the last stream was withheld. */
  #withheld = false;
  /** Whether the stream's answer has not begun. */
  #unanswered = true;
  /** Of the last polls. @type {(string | null)[]} */
  #tags = [];

  /**
   * @param {Settings} settings
   * @param {readonly string[]} payments
   * @param {import("./ledger.js").Ledger} ledger
   * @param {{ heard(extraMs?: number): void, report(connection: import("./types.js").Connection): void, share(): void }} owner
   *   `heard`: the connection lives, and will be silent for `extraMs` longer than usual; `share`: the ledger has changed
   */
  constructor(settings, payments, ledger, owner) {
    this.#settings = settings;
    this.#payments = payments;
    this.#ledger = ledger;
    this.#owner = owner;
    this.base = (settings.url ?? location.origin).replace(/\/$/, "");
    const query = payments.map((payment) => `payment=${encodeURIComponent(payment)}&`).join("");
    this.address = `${this.base}/v1/events?${query}heartbeat=event${settings.until ? `&until=${settings.until}` : ""}`;
  }

  /**
   * Follows over one connection. Resolves once it has ended: with the verdict, if it need not be opened again, or with the
   * milliseconds until then, if that is decided here. Rejects if it has failed.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<Verdict | number | undefined>}
   */
  async follow(signal) {
    const { token, getToken } = this.#settings;
    if (!this.#withheld) this.#token = getToken ? await getToken() : token;
    signal.throwIfAborted();
    const polling = new AbortController();
    aborted(signal).then(() => polling.abort());
    const patienceMs = this.#withheld ? 0 : SLOW_MS;
    this.#withheld = false;
    return Promise.race([this.#stream(signal, polling), this.#poll(polling.signal, patienceMs)]);
  }

  /** @param {AbortSignal} signal @param {AbortController} polling ended by the first word of the stream */
  async #stream(signal, polling) {
    this.#unanswered = true;
    const { cursor } = this.#ledger;
    const headers = { Accept: "text/event-stream", ...(cursor && { "Last-Event-ID": cursor }) };
    const { status, body, headers: told } = await this.#request(this.address, headers, signal);
    this.#unanswered = false;
    const verdict = this.#verdict(status);
    if (verdict) return verdict;
    if (!body || !told.get("content-type")?.startsWith("text/event-stream")) throw new Error("no answer");
    locks()?.request(this.#census, { mode: "shared" }, () => aborted(signal)).catch(() => {});
    const current = new Set();
    for await (const { event, id = "", data, retry } of readEvents(body)) {
      if (signal.aborted) break;
      polling.abort();
      this.#owner.heard();
      this.retryMs = Math.min(Number(retry) || this.retryMs, LONGEST_RETRY_MS);
      if (event && event !== "heartbeat") continue;
      /** @type {import("./types.js").Frame} */
      const frame = JSON.parse(data ?? "{}");
      if (event) this.#ledger.beat(/** @type {any} */ (frame).seq);
      else if (frame.type === "stale") this.#owner.report(frame.stale ? "stale" : "live");
      else if (frame.type === "closing") {
        if (frame.reason === "finished") return "finished";
      } else if (frame.type) {
        this.#ledger.take(frame, id);
        if (frame.up_to_date) {
          current.add(frame.payment);
          this.#showed(frame);
        }
        if (current.size === this.#payments.length) this.#owner.report("live");
      }
      if (/** @type {any} */ (frame).up_to_date !== false) this.#owner.share();
    }
    return undefined;
  }

  /**
   * Asks for snapshots while the stream, which goes on trying, says nothing. Never resolves if the stream speaks.
   *
   * @param {AbortSignal} signal @param {number} afterMs
   * @returns {Promise<Verdict | number | undefined>}
   */
  async #poll(signal, afterMs) {
    try {
      await pause(afterMs, signal);
      // Once a connection is free it is the stream's: it has waited longest.
      for (let was = false, is; (is = await this.#isCrowded()) || was; was = is) {
        signal.throwIfAborted();
        this.#owner.heard(SLOW_MS);
        if (is) this.#owner.report("crowded");
        this.#owner.share();
        await pause(SLOW_MS, signal);
      }
      signal.throwIfAborted();
      return await this.#snapshots(signal);
    } catch (error) {
      if (signal.aborted) return new Promise(() => {});
      throw error;
    }
  }

  /** One round of polls. Of several payments, each is asked for without a wait, since all share six connections. @param {AbortSignal} signal */
  async #snapshots(signal) {
    // As long as a heartbeat takes: no proxy may cut that off either.
    const wait = this.#payments.length > 1 ? 0 : Math.ceil((this.#settings.heartbeatMs ?? 15_000) / 1_000);
    this.#owner.heard(wait * 1_000);
    const began = Date.now();
    let isNews = false;
    for (const [index, payment] of this.#payments.entries()) {
      const known = this.#tags[index];
      const headers = known ? { "If-None-Match": known, Prefer: `wait=${wait}` } : {};
      const answer = await this.#request(`${this.base}/v1/payments/${encodeURIComponent(payment)}`, headers, signal);
      const verdict = this.#verdict(answer.status);
      if (verdict) return verdict;
      if (answer.status === 304) continue;
      if (!answer.ok) throw new Error("no answer");
      const tag = answer.headers.get("etag");
      const cursor = /"(.*)\./.exec(tag ?? "")?.[1] ?? "";
      const state = await answer.json();
      signal.throwIfAborted();
      if (state.payment !== payment) throw new Error("no answer");
      isNews = this.#ledger.take(state, ".".repeat(index) + cursor) || isNews;
      this.#showed(state);
      this.#tags[index] = tag;
    }
    this.#withheld = true;
    this.#owner.report("live");
    this.#owner.share();
    return isNews || Date.now() - began > 1_000 ? 0 : IDLE_POLL_MS;
  }

  /** @param {string} address @param {Record<string, string>} headers @param {AbortSignal | null} signal @param {string} [body] */
  #request(address, headers, signal, body) {
    const credentials = this.#settings.withCredentials ? "include" : "same-origin";
    const authorization = this.#token && { Authorization: `Bearer ${this.#token}` };
    const post = body && { method: "POST", body };
    return fetch(address, { cache: "no-store", credentials, signal, headers: { ...authorization, ...headers }, ...post });
  }

  /**
   * Tells the gateway that the page has shown a state, if it is to know: once it is painted, so of a hidden page when somebody sees it.
   *
   * @param {{ payment: string, seq: number }} state
   */
  #showed({ payment, seq }) {
    const address = `${this.base}/v1/payments/${encodeURIComponent(payment)}/shown`;
    const tell = () => this.#request(address, {}, null, JSON.stringify({ seq })).catch(() => {});
    if (this.#settings.acknowledge) requestAnimationFrame(tell);
  }

  /** What waiting will not change. @param {number} status @returns {Verdict | undefined} */
  #verdict(status) {
    if (status === 204) return "finished";
    if (status === 401 && this.#settings.getToken) return undefined;
    return [400, 401, 403, 404].includes(status) ? "refused" : undefined;
  }

  /** Tabs hold a lock of this name for each open stream. */
  get #census() {
    return `paystream ${this.base}`;
  }

  /** Whether the stream has no answer because other tabs hold all connections. */
  async #isCrowded() {
    const held = (this.#unanswered && (await locks()?.query().catch(() => undefined))?.held) || [];
    return held.filter(({ name }) => name === this.#census).length >= CONNECTIONS;
  }
}
