/**
 * What is known of the payments of one watch, and how far each was followed. Whatever way a state has come (a stream, a poll,
 * another tab, the storage), it goes through here, so that the page is told each event once and in order.
 *
 * Knows nothing of connections.
 */

/** @typedef {import("./types.js").Payment} Payment */
/** @typedef {import("./types.js").PaymentEvent} PaymentEvent */
/** @typedef {{ state: Payment, cursor: string }} Entry A payment's state, and the cursor behind which the stream continues. */

/** An update is missing: the messages have to be asked for again. */
export class Hole extends Error {}

export class Ledger {
  #payments;
  #tell;
  /** By the payment's place in the request. @type {(Entry | undefined)[]} */
  #entries = [];
  /** Whether the page was told. What comes from the storage is not, until the gateway has admitted the page. @type {boolean[]} */
  #told = [];

  /**
   * @param {readonly string[]} payments
   * @param {(state: Payment, news: PaymentEvent[]) => void} tell called with each new state and the events that brought it
   */
  constructor(payments, tell) {
    this.#payments = payments;
    this.#tell = tell;
  }

  /** The cursors as `Last-Event-ID` takes them; empty if nothing is known. A payment that is not known yet has none. */
  get cursor() {
    if (!this.#entries.some((entry) => entry?.cursor)) return "";
    return this.#payments.map((_, index) => this.#entries[index]?.cursor || "-").join(".");
  }

  /** The states that the page was told, in the order of the request. @returns {(Entry | undefined)[]} */
  get entries() {
    return this.#payments.map((_, index) => (this.#told[index] ? this.#entries[index] : undefined));
  }

  /** Has the gateway begin with snapshots next time. */
  rewind() {
    for (const entry of this.#entries) if (entry) entry.cursor = "";
  }

  /** Takes what an earlier page has kept, which may be anything. The page is told once the gateway confirms it. @param {unknown} kept */
  restore(kept) {
    if (!Array.isArray(kept)) return;
    this.#entries = this.#payments.map((payment, index) => {
      const { state, cursor } = kept[index] ?? {};
      const fits = typeof cursor === "string" && state?.payment === payment && Array.isArray(state.timeline);
      return fits ? { state, cursor } : undefined;
    });
  }

  /** The gateway has nothing to add to what is known. */
  confirm() {
    for (const [index, entry] of this.#entries.entries()) if (entry) this.#set(index, entry);
  }

  /** Takes what another tab was told. @param {(Entry | undefined)[]} entries */
  adopt(entries) {
    for (const [index, entry] of entries.entries()) if (entry) this.#set(index, entry);
  }

  /**
   * Takes a message about one payment. Returns whether it brought anything new. Throws a {@link Hole} if another one should
   * have come before it.
   *
   * @param {import("./types.js").StateFrame} frame
   * @param {string} id the cursors of all payments, joined by dots
   */
  take(frame, id) {
    const { type, v, reason, prev, event, late, correction, up_to_date, ...rest } = frame;
    const index = this.#payments.indexOf(frame.payment);
    const known = this.#entries[index]?.state;
    if (index < 0) return false;
    const cursor = id.split(".")[index] ?? "";
    if (type === "snapshot") return this.#set(index, { cursor, state: { ...rest, timeline: rest.timeline ?? [] } });
    const isUpdate = type === "update";
    if (!isUpdate && type !== "ready") return false;
    if (isUpdate && known && frame.seq <= known.seq) return false;
    if (!known || (isUpdate ? prev : frame.seq) !== known.seq) throw new Hole();
    if (!isUpdate || !event) return this.#set(index, { cursor, state: known });
    const entry = { ...event, ...(late && { late }), ...(correction && { correction }) };
    return this.#set(index, { cursor, state: { ...rest, timeline: [...known.timeline, entry] } });
  }

  /** A heartbeat says how many events each payment has. @param {number | number[]} seq */
  beat(seq) {
    const behind = [seq].flat().some((seq, index) => seq > (this.#entries[index]?.state.seq ?? seq));
    if (behind) throw new Hole();
  }

  /** @param {number} index @param {Entry} entry */
  #set(index, { state, cursor }) {
    const before = this.#entries[index]?.state;
    const isNew = JSON.stringify(before) !== JSON.stringify(state);
    const now = before && !isNew ? before : state;
    this.#entries[index] = { cursor, state: now };
    if (!isNew && this.#told[index]) return false;
    this.#told[index] = true;
    const known = new Set(before?.timeline.map(({ id }) => id));
    this.#tell(now, before ? now.timeline.filter(({ id }) => !known.has(id)) : []);
    return true;
  }
}
