/**
 * Follows one payment from a browser, over the native EventSource.
 *
 * EventSource alone reconnects after most interruptions. This adds what it cannot do: notice a connection that died
 * without a word (a watchdog over event heartbeats), come back after an answer that ends an EventSource for good (an
 * expired token, a 503 from a proxy), fetch a fresh token, and prove that nothing is missing (every update names the
 * one before it).
 *
 * Promises: `onEvent` sees each update once and in order; whatever could not be followed step by step arrives as a
 * snapshot. Knows nothing of any page: it can be copied into a shop as it is.
 */

/**
 * @typedef {"unknown" | "created" | "requires_action" | "processing" | "failed" | "authorized" | "canceled" | "expired"
 *   | "captured" | "partially_refunded" | "refunded" | "disputed" | "charged_back"} Status
 *
 * @typedef {"insufficient_funds" | "card_expired" | "wrong_details" | "authentication_failed" | "limit_exceeded" | "not_supported"
 *   | "try_again" | "contact_bank" | "abandoned" | "declined"} FailureReason
 * @typedef {"redirect" | "3ds" | "bank_transfer" | "voucher" | "wait"} ActionKind
 *
 * @typedef {object} PaymentEvent One entry of the timeline.
 * @property {string} id the provider's event id
 * @property {string} type the provider's own word, e.g. `payment_intent.succeeded`
 * @property {string} [occurred_at] RFC 3339, UTC
 * @property {string} [received_at] RFC 3339, UTC
 * @property {boolean} [late] it changed nothing, because something newer was known
 * @property {boolean} [correction] it took the status back
 *
 * @typedef {object} Payment What is known of the payment now.
 * @property {string} payment
 * @property {number} seq the number of events so far
 * @property {Status} status
 * @property {number | null} amount in minor units; `null` until an event has told it
 * @property {string | null} currency ISO 4217, or the name of an asset; `null` until an event has told it
 * @property {number | null} exponent how many decimal digits the minor unit has; `null` until an event has told it
 * @property {number} captured in minor units
 * @property {number} refunded in minor units
 * @property {boolean} conflict captured, yet canceled or expired
 * @property {{ reason: FailureReason } | null} failure why it failed or has to be tried again; `null` unless the provider says so
 * @property {{ kind: ActionKind } | null} action what the customer has to do next; `null` unless the provider says so
 * @property {PaymentEvent[]} timeline oldest first
 *
 * @typedef {"connecting" | "live" | "stale" | "reconnecting" | "finished" | "refused" | "closed"} Connection
 *   `live`: all that the gateway knows has arrived. `stale`: connected, but the gateway has lost its store for the
 *   moment. `finished`: nothing more is expected. `refused`: the token does not open this payment. The last three end
 *   the watch.
 *
 * @typedef {object} Options
 * @property {string} [url] the gateway's address; default: the page's own origin
 * @property {string} payment the payment's id
 * @property {string} [token] a token that outlives the page
 * @property {() => Promise<string | void>} [getToken] called for a fresh token at each new connection. Where the token
 *   is a cookie, it may have the shop set the cookie anew and resolve to nothing
 * @property {boolean} [withCredentials] send cookies to a gateway of another origin, as `EventSource` does with the
 *   option of the same name: for the token in the cookie `paystream_token`. The gateway has to list the page's origin in
 *   `access.cors`. Default: false. A gateway of the page's own origin always gets the cookies
 * @property {"finished"} [until] end once the payment is paid or called off, and quiet
 * @property {number} [heartbeatMs] the gateway's heartbeat interval; default 15 s, as the gateway's
 * @property {(payment: Payment) => void} onStatus called with every new state, first of all with the current one
 * @property {(event: PaymentEvent, payment: Payment) => void} [onEvent] called once for each update
 * @property {(connection: Connection) => void} [onConnection] called whenever the connection's state changes
 *
 * @typedef {{ close(): void }} PaymentWatch
 *
 * @typedef {{ type: "snapshot" | "update" | "ready", seq: number, prev?: number, up_to_date?: boolean,
 *   late?: boolean, correction?: boolean, event?: PaymentEvent } & Payment} StateFrame
 * @typedef {StateFrame | { type: "stale", stale: boolean } | { type: "closing", reason: string }} Frame
 */

/** Silence for this many heartbeats means that the connection is dead: one may be lost or late, two hardly. */
const PATIENCE = 2.5;

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

/**
 * Watches a payment until it is finished, refused, or `close()` is called.
 *
 * @param {Options} options
 * @returns {PaymentWatch}
 */
export function watchPayment(options) {
  return new Watch(options);
}

class Watch {
  #options;
  #patienceMs;
  #withCredentials;
  /** @type {EventSource | undefined} */
  #source;
  /** @type {Payment | undefined} */
  #state;
  /** @type {Connection | undefined} */
  #connection;
  /** The id of the last event accepted: where to resume. */
  #cursor = "";
  /** Counts connections, so that an answer to an earlier one is known as such. */
  #attempt = 0;
  /** Consecutive connections that did not get as far as `up_to_date`. */
  #failures = 0;
  #heardAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #ended = new AbortController();

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.#patienceMs = (options.heartbeatMs ?? 15_000) * PATIENCE;
    this.#withCredentials = options.withCredentials ?? false;
    this.#listen();
    this.#open();
  }

  /** Ends the watch. */
  close() {
    this.#end("closed");
  }

  /** A page that comes back from sleep, from the background or from a tunnel looks at once, not when a timer says so. */
  #listen() {
    if (typeof addEventListener !== "function") return;
    const signal = this.#ended.signal;
    addEventListener("online", () => this.#open(), { signal });
    // A page that was just loaded is opening its connection already; only one that the browser had cached has to look.
    addEventListener("pageshow", ({ persisted }) => persisted && this.#check(), { signal });
    addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#check(), { signal });
  }

  #check() {
    const silentMs = Date.now() - this.#heardAt;
    if (this.#source?.readyState !== EventSource.OPEN || silentMs > this.#patienceMs) this.#open();
  }

  /** Opens a new connection in place of whatever there was. */
  async #open() {
    const attempt = this.#drop();
    if (this.#ended.signal.aborted) return;
    this.#report(this.#state ? "reconnecting" : "connecting");
    this.#heard();
    const address = await this.#address().catch(() => undefined);
    if (attempt !== this.#attempt) return;
    if (!address) return this.#openLater();

    const source = new EventSource(address, { withCredentials: this.#withCredentials });
    this.#source = source;
    source.onmessage = (message) => {
      this.#heard();
      this.#take(JSON.parse(message.data), message.lastEventId);
    };
    source.addEventListener("heartbeat", (message) => {
      this.#heard();
      if (this.#state && JSON.parse(message.data).seq > this.#state.seq) this.#hole();
    });
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.#died();
      else this.#report(this.#state ? "reconnecting" : "connecting");
    };
  }

  /** Exponential, with jitter: pages that lost the same gateway must not come back in step. */
  #openLater() {
    const attempt = this.#drop();
    const longest = Math.min(FIRST_DELAY_MS * 2 ** this.#failures, LONGEST_DELAY_MS);
    this.#failures += 1;
    this.#report(this.#state ? "reconnecting" : "connecting");
    this.#timer = setTimeout(() => attempt === this.#attempt && this.#open(), longest * (0.5 + Math.random() / 2));
  }

  /** Lets go of the connection and of every timer. Returns the number that stands for whatever comes next. */
  #drop() {
    this.#source?.close();
    this.#source = undefined;
    clearTimeout(this.#timer);
    return ++this.#attempt;
  }

  /** @returns {Promise<string>} */
  async #address() {
    const { url, payment, token, getToken, until } = this.#options;
    const base = (url ?? location.origin).replace(/\/$/, "");
    const address = new URL(`${base}/v1/payments/${encodeURIComponent(payment)}/events`);
    address.searchParams.set("heartbeat", "event");
    if (until) address.searchParams.set("until", until);
    if (this.#cursor) address.searchParams.set("last_event_id", this.#cursor);
    const bearer = getToken ? await getToken() : token;
    if (bearer) address.searchParams.set("access_token", bearer);
    return address.href;
  }

  /** Anything heard, be it a heartbeat, puts the watchdog off. */
  #heard() {
    this.#heardAt = Date.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), this.#patienceMs);
  }

  /**
   * @param {Frame} frame
   * @param {string} id
   */
  #take(frame, id) {
    switch (frame.type) {
      case "snapshot":
        return this.#accept(frame, id, frame.timeline ?? []);
      case "update": {
        const known = this.#state;
        if (known && frame.seq <= known.seq) return;
        if (!known || frame.prev !== known.seq || !frame.event) return this.#hole();
        const event = { ...frame.event, ...flags(frame) };
        this.#accept(frame, id, [...known.timeline, event]);
        return this.#options.onEvent?.(event, /** @type {Payment} */ (this.#state));
      }
      case "ready":
        return frame.seq === this.#state?.seq ? this.#upToDate() : this.#hole();
      case "stale":
        return this.#report(frame.stale ? "stale" : "live");
      case "closing":
        if (frame.reason === "finished") return this.#end("finished");
        // For all other reasons the browser comes back by itself, after the delay that the gateway chose for it.
        if (frame.reason === "token_expired" && this.#options.getToken) return this.#openLater();
    }
  }

  /**
   * @param {StateFrame} frame
   * @param {string} id
   * @param {PaymentEvent[]} timeline
   */
  #accept(frame, id, timeline) {
    const { type, prev, event, late, correction, up_to_date, ...payment } = frame;
    this.#cursor = id;
    this.#state = { ...payment, timeline };
    this.#options.onStatus(this.#state);
    if (up_to_date) this.#upToDate();
  }

  #upToDate() {
    this.#failures = 0;
    this.#report("live");
  }

  /** An update is missing. Ask for it once; if it is missing again, ask for a snapshot. */
  #hole() {
    if (this.#failures > 0) this.#cursor = "";
    this.#openLater();
  }

  /**
   * The browser has given up. EventSource hides the answer that made it do so; a plain request gets the same one, if it
   * too says how far this page has come: the connection may have begun long before.
   */
  async #died() {
    const attempt = this.#drop();
    this.#report(this.#state ? "reconnecting" : "connecting");
    this.#heard();
    const address = await this.#address().catch(() => undefined);
    const status = address ? await statusOf(address, this.#withCredentials) : 0;
    if (attempt !== this.#attempt) return;
    const renewable = status === 401 && this.#options.getToken;
    if (status === 204) this.#end("finished");
    else if ([400, 401, 403, 404].includes(status) && !renewable) this.#end("refused");
    else this.#openLater();
  }

  /** @param {"finished" | "refused" | "closed"} how */
  #end(how) {
    this.#drop();
    this.#report(how);
    this.#ended.abort();
  }

  /** @param {Connection} connection */
  #report(connection) {
    if (connection === this.#connection || this.#ended.signal.aborted) return;
    this.#connection = connection;
    this.#options.onConnection?.(connection);
  }
}

/**
 * The HTTP status that `address` answers with; 0 if it does not answer. Its body is not read.
 *
 * @param {string} address
 * @param {boolean} withCredentials whether another origin gets its cookies, as with `EventSource`
 */
async function statusOf(address, withCredentials) {
  const enough = new AbortController();
  const credentials = withCredentials ? "include" : "same-origin";
  try {
    return (await fetch(address, { cache: "no-store", credentials, signal: enough.signal })).status;
  } catch {
    return 0;
  } finally {
    enough.abort();
  }
}

/**
 * What an update says about its event, beyond the event itself.
 *
 * @param {StateFrame} frame
 */
function flags({ late, correction }) {
  return { ...(late && { late }), ...(correction && { correction }) };
}
