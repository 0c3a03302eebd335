/**
 * Reads the text of a `text/event-stream` as events, as the HTML standard describes it. Pure: knows no connection.
 *
 * The browser's own EventSource cannot send a header, so its token has to stand in the address, where proxies log it. These
 * pages read their streams with `fetch` instead, and need this.
 */

/**
 * @typedef {object} StreamEvent
 * @property {string} type `message` unless the stream names another one
 * @property {string} data
 */

export class EventParser {
  /** The characters after the last line break. */
  #rest = "";
  /** Whether the last character was a carriage return, whose line feed may still come. */
  #afterReturn = false;
  #type = "";
  /** @type {string[]} */
  #data = [];
  /** The newest id that the stream has named, once the event that names it is complete. */
  lastEventId = "";
  #id = "";
  /** How long the server asks clients to wait before they reconnect, in ms. @type {number | undefined} */
  retryMs;

  /**
   * Takes the next piece of the stream, cut anywhere. Returns the events that it completes.
   *
   * @param {string} text
   * @returns {StreamEvent[]}
   */
  push(text) {
    /** @type {StreamEvent[]} */
    const events = [];
    if (this.#afterReturn && text.startsWith("\n")) text = text.slice(1);
    if (text) this.#afterReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = this.#line(line);
      if (event) events.push(event);
    }
    return events;
  }

  /** @param {string} line @returns {StreamEvent | undefined} the event that an empty line ends */
  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    return undefined;
  }

  #dispatch() {
    this.lastEventId = this.#id;
    const [type, data] = [this.#type || "message", this.#data];
    this.#type = "";
    this.#data = [];
    return data.length > 0 ? { type, data: data.join("\n") } : undefined;
  }
}
