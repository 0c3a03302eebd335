/**
 * Follows payments until they are finished, the gateway refuses, or the page has seen enough.
 *
 * What a connection cannot do by itself stands here: come back after an interruption, notice one that died without a word (a
 * watchdog over heartbeats), ask again for what is missing, and let one tab hold the connection for all.
 *
 * Promises: `onEvent` sees each event once and in order, and `onStatus` each state, whatever the connection goes through.
 * Knows nothing of any page.
 */

import { Hole, Ledger } from "./ledger.js";
import { Link, SLOW_MS, aborted, locks, pause } from "./link.js";

/** @typedef {import("./types.js").Payment} Payment */
/** @typedef {import("./types.js").Connection} Connection */

/** Silence for this many heartbeats means that the connection is dead: one may be lost or late, two hardly. */
const PATIENCE = 2.5;

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

/**
 * Watches a payment until it is finished, refused, or `close()` is called.
 *
 * @param {import("./types.js").Options} options
 * @returns {import("./types.js").PaymentWatch}
 */
export function watchPayment({ payment, ...settings }) {
  return watchPayments({ ...settings, payments: [payment] });
}

/**
 * Watches several payments over one connection. They are finished when all are.
 *
 * @param {import("./types.js").SeveralOptions} options
 * @returns {import("./types.js").PaymentWatch}
 */
export function watchPayments(options) {
  return new Watch(options);
}

class Watch {
  /** @type {Connection} */
  connection = "connecting";
  #options;
  #ledger;
  #link;
  /** The name that tabs which follow the same have in common, for their lock, their channel and what is stored. */
  #name;
  #patienceMs;
  /** @type {BroadcastChannel | undefined} */
  #channel;
  /** Whether this tab holds the connection. */
  #leads = false;
  /** Consecutive connections that did not get as far as to be live. */
  #failures = 0;
  #heardAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watchdog;
  /** Ends what is being waited for: a connection, a pause, or another tab that leads. */
  #turn = new AbortController();
  /** Ends this tab's lead. */
  #lead = new AbortController();
  #ended = new AbortController();
  /** Iterations that wait for news. @type {(() => void)[]} */
  #waiting = [];

  /** @param {import("./types.js").SeveralOptions} options */
  constructor(options) {
    const { payments, heartbeatMs = 15_000 } = options;
    this.#options = options;
    this.#patienceMs = heartbeatMs * PATIENCE;
    this.#ledger = new Ledger([...payments], (state, news) => {
      this.#call(options.onStatus, state);
      for (const event of news) this.#call(options.onEvent, event, state);
      this.#wake();
    });
    this.#link = new Link(options, [...payments], this.#ledger, this);
    this.#name = `paystream ${this.#link.address}`;
    this.#keep((storage) => this.#ledger.restore(JSON.parse(storage.getItem(this.#name) ?? "0")));
    this.#listen();
    this.#call(options.onConnection, this.connection);
    this.#run();
  }

  /** Ends the watch. */
  close() {
    this.#end("closed");
  }

  /** The newest state of each payment that has changed since the last step. */
  async *[Symbol.asyncIterator]() {
    /** @type {(Payment | undefined)[]} */
    const given = [];
    try {
      for (;;) {
        const states = this.#ledger.entries.map((entry) => entry?.state);
        const index = states.findIndex((state, index) => state !== given[index]);
        const state = states[index];
        if (state) yield (given[index] = state);
        else if (!this.#ended.signal.aborted) await new Promise((resolve) => this.#waiting.push(() => resolve(0)));
        else if (this.connection === "refused") throw new Error("the gateway refused to show the payment");
        else return;
      }
    } finally {
      this.close();
    }
  }

  /** Anything heard, be it a heartbeat, puts the watchdog off. @param {number} [extraMs] */
  heard(extraMs = 0) {
    this.#heardAt = Date.now() + extraMs;
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#turn.abort(), this.#patienceMs + extraMs);
  }

  /** @param {Connection} connection */
  report(connection) {
    if (connection === "live") this.#failures = 0;
    if (connection === this.connection || this.#ended.signal.aborted) return;
    this.connection = connection;
    this.#call(this.#options.onConnection, connection);
  }

  /** Lets the other tabs and the next page have what this tab knows. */
  share() {
    if (!this.#leads) return;
    const { entries } = this.#ledger;
    this.#channel?.postMessage({ entries, connection: this.connection });
    if (entries.some(Boolean)) this.#keep((storage) => storage.setItem(this.#name, JSON.stringify(entries)));
  }

  /** A page that comes back from sleep, from the background or from a tunnel looks at once, not when a timer says so. */
  #listen() {
    if (typeof addEventListener !== "function") return;
    const signal = this.#ended.signal;
    addEventListener("online", () => this.#look(this.#leads), { signal });
    // A page that was just loaded is opening its connection already; only one that the browser had cached has to look.
    addEventListener("pageshow", ({ persisted }) => this.#look(persisted && this.#leads), { signal });
    addEventListener("visibilitychange", () => this.#look(false), { signal });
  }

  /** @param {boolean} surely whether the connection is to be opened anew even if it seems to live */
  #look(surely) {
    if (surely || Date.now() - this.#heardAt > this.#patienceMs) this.#turn.abort();
  }

  /** Leads, or waits until the tab that does so ends or has been silent for too long. */
  async #run() {
    const manager = this.#options.share === false ? undefined : locks();
    if (!manager) return this.#follow();
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    let steal = false;
    while (!this.#ended.signal.aborted) {
      const { signal } = (this.#turn = new AbortController());
      this.#heardFromTab();
      this.#channel.postMessage(0);
      await manager.request(this.#name, steal ? { steal } : { signal }, () => this.#follow()).catch(({ name }) => {
        // A sandboxed frame has no locks, and no tabs to share with.
        if (name !== "AbortError") return this.#follow();
      });
      this.#lead.abort();
      this.#leads = false;
      steal = signal.aborted;
    }
    this.#channel.close();
  }

  /** Of several tabs that have heard nothing, one is the first to lose its patience. */
  #heardFromTab() {
    this.heard(this.#patienceMs * Math.random());
  }

  /** @param {0 | { entries: (import("./ledger.js").Entry | undefined)[], connection: Connection }} message 0: a tab has come */
  #hear(message) {
    if (!message) return this.share();
    if (this.#leads) return;
    this.#heardFromTab();
    this.#ledger.adopt(message.entries);
    if (message.connection === "finished") this.#end("finished");
    else this.report(message.connection);
  }

  /** Holds the connection, opening it again and again, until the watch ends or another tab takes over. */
  async #follow() {
    this.#leads = true;
    const { signal: over } = (this.#lead = new AbortController());
    // At once, before what comes next has a turn of its own.
    over.addEventListener("abort", () => this.#turn.abort());
    while (!over.aborted) {
      const turn = (this.#turn = new AbortController());
      const { signal } = turn;
      this.heard(SLOW_MS);
      const outcome = await Promise.race([this.#link.follow(signal), aborted(signal)]).catch((error) => {
        // An update is missing. It is asked for once; if it is missing again, a snapshot is.
        if (error instanceof Hole && this.#failures > 0) this.#ledger.rewind();
      });
      const hurry = signal.aborted;
      turn.abort();
      if (over.aborted) return;
      if (typeof outcome === "string") return this.#end(outcome);
      await this.#rest(outcome ?? this.#delayMs(hurry), typeof outcome === "number");
    }
  }

  /** @param {number} ms @param {boolean} isLive */
  async #rest(ms, isLive) {
    if (!isLive) this.report(this.#ledger.entries.some(Boolean) ? "reconnecting" : "connecting");
    this.share();
    clearTimeout(this.#watchdog);
    this.#heardAt = 0;
    const { signal } = (this.#turn = new AbortController());
    await pause(ms, signal);
  }

  /** As the gateway wishes; then exponential, with jitter: pages that lost the same gateway must not come back in step. @param {boolean} hurry */
  #delayMs(hurry) {
    if (hurry) return 0;
    const longest = Math.min(FIRST_DELAY_MS * 2 ** this.#failures, LONGEST_DELAY_MS);
    return this.#failures++ ? longest * (0.5 + Math.random() / 2) : this.#link.retryMs;
  }

  /** @param {"finished" | "refused" | "closed"} how */
  #end(how) {
    if (this.#ended.signal.aborted) return;
    if (how === "finished") this.#ledger.confirm();
    if (how === "refused") this.#keep((storage) => storage.removeItem(this.#name));
    this.report(how);
    if (how === "finished") this.share();
    this.#leads = false;
    for (const controller of [this.#ended, this.#lead, this.#turn]) controller.abort();
    clearTimeout(this.#watchdog);
    this.#wake();
  }

  /** A storage that is full, forbidden or spoiled costs the next page a snapshot. @param {(storage: import("./types.js").KeptAcrossPages) => void} use */
  #keep(use) {
    const { storage } = this.#options;
    try {
      if (storage) use(storage);
    } catch {
      // Told above.
    }
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /**
   * What the page does wrong in a callback is the page's error, and none of the connection's.
   *
   * @template {unknown[]} A
   * @param {((...values: A) => void) | undefined} callback
   * @param {A} values
   */
  #call(callback, ...values) {
    if (this.#ended.signal.aborted) return;
    try {
      callback?.(...values);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
