/**
 * Keeps a book of payments in step with the gateway: the newest page and every change by the stream, older pages by
 * requests. What comes is written into the book once per frame of the screen, however much it is.
 */

import { Follower } from "./follow.js";
import { Unavailable } from "./gateway.js";

/**
 * @typedef {import("./gateway.js").Entry} Entry
 * @typedef {import("./gateway.js").Page} Page
 *
 * @typedef {object} Progress
 * @property {boolean} loading more is on its way
 * @property {boolean} complete the gateway has no older payments than those shown
 * @property {boolean} full no more payments are kept
 * @property {string | null} completeSince RFC 3339: what changed before may be missing. `null` if nothing is
 *
 * @typedef {object} LiveOptions
 * @property {import("./gateway.js").Gateway} gateway
 * @property {import("./book.js").Book} book
 * @property {import("./gateway.js").Query} query the filters
 * @property {() => void} onDraw the book has changed; called at most once per frame
 * @property {(progress: Progress) => void} onProgress
 * @property {(connection: import("./follow.js").Connection, refused?: import("./gateway.js").Refused) => void} onConnection
 */

/** The payments of the first page: few, so that it is there at once. */
const FIRST_PAGE = 200;
/** The payments of each further page: the most that the gateway gives. */
const PAGE = 500;
/** So many payments are loaded without being asked for. */
const UNASKED = 10_000;
/** No more payments are kept: as many as a gateway lists by default. */
const MOST = 100_000;
/** How long to wait after a page that could not be had. */
const RETRY_MS = 3_000;

export class Live {
  #options;
  #follower;
  #ended = new AbortController();
  /** The newest word about each payment since the last frame. @type {Map<string, Entry | null>} */
  #pending = new Map();
  /** Whether what the book holds is to be forgotten before the pending words are taken over. */
  #reset = false;
  #scheduled = false;
  /** Counts the stream's first pages: older pages of an earlier one are no use. */
  #generation = 0;
  /** Where the next page begins; `undefined` before the first page. @type {string | null | undefined} */
  #next;
  /** @type {string | null} */
  #completeSince = null;
  #goal = UNASKED;
  #loading = false;
  /** The payments that went while a page was asked for, which may not know it yet. @type {Set<string> | undefined} */
  #goneMeanwhile;

  /** @param {LiveOptions} options */
  constructor(options) {
    this.#options = options;
    const { gateway, query, onConnection } = options;
    this.#follower = new Follower({
      connect: (cursor, signal) => gateway.changes([...query, ["limit", String(FIRST_PAGE)]], cursor, signal),
      onFrame: (frame) => this.#take(frame),
      onConnection,
    });
  }

  /** Also loads payments beyond those that are loaded without being asked for. */
  more() {
    const { size } = this.#options.book;
    if (this.#next == null || this.#loading || size >= MOST) return;
    this.#goal = Math.min(size + PAGE, MOST);
    void this.#load();
  }

  close() {
    this.#ended.abort();
    this.#follower.close();
  }

  /** @param {{ type: string, payments: Entry[], gone: string[] } & Page} frame */
  #take(frame) {
    if (frame.type === "page") {
      this.#pending.clear();
      this.#reset = true;
      this.#generation += 1;
      this.#next = frame.next;
      this.#completeSince = frame.complete_since;
    }
    if (frame.type !== "page" && frame.type !== "changes") return;
    for (const entry of frame.payments) this.#pending.set(entry.payment, entry);
    for (const payment of frame.gone ?? []) {
      this.#pending.set(payment, null);
      this.#goneMeanwhile?.add(payment);
    }
    this.#schedule();
    if (frame.type === "page") void this.#load();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      if (!this.#ended.signal.aborted) this.#write();
    });
  }

  #write() {
    const { book, onDraw } = this.#options;
    if (this.#reset) book.clear();
    this.#reset = false;
    book.apply(this.#pending, MOST);
    this.#pending.clear();
    onDraw();
  }

  /** Loads older pages, one after the other, until there are enough or there are no more. */
  async #load() {
    const generation = this.#generation;
    const isCurrent = () => generation === this.#generation && !this.#ended.signal.aborted;
    this.#loading = true;
    this.#tell();
    while (isCurrent() && this.#next != null && this.#options.book.size < this.#goal) {
      const page = await this.#page(this.#next);
      if (!isCurrent()) return;
      if (page) this.#next = page.next;
      // The frame in between leaves room for everything else, and tells how many payments there are now.
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    if (!isCurrent()) return;
    this.#loading = false;
    this.#tell();
  }

  /** One older page; `undefined` if it could not be had and has to be asked for again. @param {string} before @returns {Promise<Page | undefined>} */
  async #page(before) {
    const { gateway, query } = this.#options;
    const gone = new Set();
    this.#goneMeanwhile = gone;
    try {
      const asked = /** @type {[string, string][]} */ ([...query, ["limit", String(PAGE)], ["before", before]]);
      const page = await gateway.page(asked, this.#ended.signal);
      this.#completeSince = page.complete_since;
      for (const entry of page.payments) {
        const pending = this.#pending.get(entry.payment);
        if (!gone.has(entry.payment) && !(pending && pending.seq > entry.seq)) this.#pending.set(entry.payment, entry);
      }
      this.#schedule();
      return page;
    } catch (error) {
      // What no waiting heals is refused to the stream as well, which ends all this.
      const wait = (error instanceof Unavailable && error.retryMs) || RETRY_MS;
      await new Promise((resolve) => setTimeout(resolve, wait));
      return undefined;
    } finally {
      if (this.#goneMeanwhile === gone) this.#goneMeanwhile = undefined;
    }
  }

  #tell() {
    const { onProgress } = this.#options;
    const [complete, full] = [this.#next === null, this.#options.book.size >= MOST];
    onProgress({ loading: this.#loading, complete, full, completeSince: this.#completeSince });
  }
}
