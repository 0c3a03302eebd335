/**
 * Follows the list's stream over `fetch`, across interruptions: reconnects where it was, notices a connection that died
 * without a word, and comes back when the page does. Knows what all streams have in common; knows no page and no payment.
 * (One payment is followed by `watchPayment` of the client package.)
 */

import { readEvents } from "../../clients/js/src/sse.js";
import { Refused, Unavailable } from "./gateway.js";

/**
 * @typedef {"connecting" | "live" | "stale" | "reconnecting" | "refused"} Connection
 *   `live`: all that the gateway knows has arrived. `stale`: connected, but the gateway has lost its store for the moment.
 *   `refused` ends it.
 *
 * @typedef {object} Frame What all messages have; each kind has more.
 * @property {string} type
 * @property {boolean} [up_to_date]
 * @property {boolean} [stale]
 * @property {string} [reason]
 *
 * @typedef {object} FollowOptions
 * @property {(lastEventId: string, signal: AbortSignal) => Promise<Response>} connect its heartbeats are to be events
 * @property {(frame: any) => boolean | void} onFrame false if the frame does not continue what came before it: the stream is
 *   then opened anew, without a cursor
 * @property {(connection: Connection, refused?: Refused) => void} onConnection
 * @property {boolean} [named] the stream names what is no data, and has no word for being up to date: it counts as live once it is open
 */

/** Without an event for so long, a connection is taken for dead: two and a half of the gateway's usual heartbeats. */
const PATIENCE_MS = 37_500;
/** A gateway may be configured with rarer heartbeats, so each false alarm doubles the patience, up to this. */
const LONGEST_PATIENCE_MS = 600_000;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;
/** A timer that is set for longer than 24 days runs out at once. No gateway asks for more than this. */
const LONGEST_RETRY_MS = 600_000;

export class Follower {
  #options;
  #ended = new AbortController();
  #cursor = "";
  /** Consecutive connections that did not get as far as `up_to_date`. */
  #failures = 0;
  #patienceMs = PATIENCE_MS;
  #heardAt = 0;
  /** @type {Connection | undefined} */
  #connection;
  /** Cuts the present connection or the present wait. */
  #wake = () => {};

  /** @param {FollowOptions} options */
  constructor(options) {
    this.#options = options;
    const { signal } = this.#ended;
    addEventListener("online", () => this.#wake(), { signal });
    // A page that comes back from sleep or from the background looks at once, not when a timer says so.
    addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#check(), { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && this.#wake(), { signal });
    void this.#run();
  }

  close() {
    this.#ended.abort();
    this.#wake();
  }

  #check() {
    if (this.#connection === "reconnecting" || Date.now() - this.#heardAt > this.#patienceMs) this.#wake();
  }

  async #run() {
    this.#report("connecting");
    while (!this.#ended.signal.aborted) {
      const again = await this.#once();
      if (again instanceof Refused) return this.#report("refused", again);
      if (this.#ended.signal.aborted) return;
      this.#report(this.#connection === "connecting" ? "connecting" : "reconnecting");
      await this.#pause(again);
    }
  }

  /** One connection, from its request to its end. @returns {Promise<Refused | number>} how long to wait before the next one, in ms */
  async #once() {
    const aborted = new AbortController();
    this.#wake = () => aborted.abort();
    let watchdog = this.#watch(aborted);
    /** How long the gateway asks to wait. @type {number | undefined} */
    let retryMs;
    try {
      const { body } = await this.#options.connect(this.#cursor, aborted.signal);
      if (this.#options.named) this.#upToDate();
      for await (const { event, id = this.#cursor, data, retry } of body ? readEvents(body) : []) {
        clearTimeout(watchdog);
        watchdog = this.#watch(aborted);
        if (this.#ended.signal.aborted) break;
        if (retry) retryMs = Math.min(Number(retry) || FIRST_DELAY_MS, LONGEST_RETRY_MS);
        const isData = !event || (this.#options.named && event !== "heartbeat");
        if (data && isData && !this.#take(data, id)) return this.#anew();
      }
      return retryMs ?? this.#delay();
    } catch (error) {
      if (error instanceof Refused) return error;
      return (error instanceof Unavailable ? error.retryMs : retryMs) ?? this.#delay();
    } finally {
      clearTimeout(watchdog);
      aborted.abort();
    }
  }

  /** @param {string} data @param {string} id @returns {boolean} whether it continues what came before it */
  #take(data, id) {
    try {
      const frame = /** @type {Frame} */ (JSON.parse(data));
      if (frame.type === "stale") this.#report(frame.stale ? "stale" : "live");
      else if (frame.type !== "closing" && this.#options.onFrame(frame) === false) return false;
      this.#cursor = id;
      if (frame.up_to_date) this.#upToDate();
      return true;
    } catch (defect) {
      // Not an interruption, which would pass for one: tell the browser, and begin anew.
      reportError(defect);
      return false;
    }
  }

  #upToDate() {
    this.#failures = 0;
    this.#report("live");
  }

  /** What came does not fit together: forget the cursor, so that the stream begins with everything. */
  #anew() {
    this.#cursor = "";
    return this.#delay();
  }

  /** Exponential, with jitter: pages that lost the same gateway must not come back in step. */
  #delay() {
    const longest = Math.min(FIRST_DELAY_MS * 2 ** this.#failures, LONGEST_DELAY_MS);
    this.#failures += 1;
    return longest * (0.5 + Math.random() / 2);
  }

  /** @param {AbortController} connection */
  #watch(connection) {
    this.#heardAt = Date.now();
    return setTimeout(() => {
      this.#patienceMs = Math.min(this.#patienceMs * 2, LONGEST_PATIENCE_MS);
      connection.abort();
    }, this.#patienceMs);
  }

  /** @param {number} ms */
  #pause(ms) {
    return new Promise((/** @type {(value: void) => void} */ resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => (clearTimeout(timer), resolve());
    });
  }

  /** @param {Connection} connection @param {Refused} [refused] */
  #report(connection, refused) {
    if (connection === this.#connection || this.#ended.signal.aborted) return;
    this.#connection = connection;
    this.#options.onConnection(connection, refused);
  }
}
