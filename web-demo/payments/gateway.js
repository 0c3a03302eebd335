/** Asks the gateway, such as for its list of payments. Knows how requests are made and refused; knows no page. */

/**
 * @typedef {import("../paystream.js").Payment} Payment
 *
 * @typedef {object} Listed What the list says of a payment, beside the state that a snapshot has.
 * @property {string} provider of its first event, as is `source`
 * @property {string} source
 * @property {boolean} live false in the provider's test mode
 * @property {string} first_seen RFC 3339, the gateway's clock; never changes while the payment is listed
 * @property {string} changed RFC 3339
 * @typedef {Omit<Payment, "timeline"> & Listed} Entry A payment of the list.
 *
 * @typedef {object} Page
 * @property {Entry[]} payments newest first
 * @property {string | null} next where the following page begins; `null` if there is none
 * @property {string | null} complete_since RFC 3339: what changed before may be missing. `null` if nothing is
 *
 * @typedef {[string, string][]} Query
 *
 * @typedef {object} GatewayOptions
 * @property {string} base the address that `v1/` stands below, with a slash at its end
 * @property {() => string | undefined} token the token to send; without one, a gateway may still be open, or a cookie may be set
 * @property {() => Promise<boolean>} renew called when the token was refused; resolves to whether there is a new one
 * @property {Record<string, string>} [headers] further headers of each request
 *
 * @typedef {{ method?: string, accept?: string, lastEventId?: string, signal?: AbortSignal }} Asked
 */

/** The gateway's answer is final: the same request would be refused again. */
export class Refused extends Error {
  /** @param {number} status @param {string} reason the word of the problem @param {string} detail */
  constructor(status, reason, detail) {
    super(detail);
    this.status = status;
    this.reason = reason;
  }
}

/** The gateway cannot answer now, and says when to ask again. */
export class Unavailable extends Error {
  /** @param {number} status @param {number | undefined} retryMs */
  constructor(status, retryMs) {
    super(`the gateway answered ${status}`);
    this.retryMs = retryMs;
  }
}

/** Answers that waiting does not heal. */
const FINAL = [400, 401, 403, 404, 406, 409, 421, 502];

export class Gateway {
  #options;

  /** @param {GatewayOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** One page of the list. @param {Query} query @param {AbortSignal} [signal] @returns {Promise<Page>} */
  async page(query, signal) {
    return (await this.ask("v1/payments", query, { ...(signal && { signal }) })).json();
  }

  /** The stream of the list. @param {Query} query @param {string} lastEventId @param {AbortSignal} signal */
  changes(query, lastEventId, signal) {
    return this.ask("v1/payments/events", [...query, ["heartbeat", "event"]], { accept: "text/event-stream", lastEventId, signal });
  }

  /**
   * Sends a request.
   *
   * @param {string} path below the base
   * @param {Query} [query]
   * @param {Asked} [asked]
   * @returns {Promise<Response>} an answer of 200 or another one of success
   */
  async ask(path, query = [], asked = {}) {
    const address = new URL(path, this.#options.base);
    for (const [name, value] of query) address.searchParams.append(name, value);
    let response = await this.#send(address, asked);
    if (response.status === 401 && (await this.#options.renew())) response = await this.#send(address, asked);
    if (response.ok) return response;
    if (!FINAL.includes(response.status)) throw new Unavailable(response.status, retryMs(response));
    const problem = await response.json().catch(() => ({}));
    throw new Refused(response.status, problem.reason ?? "", problem.detail ?? `the gateway answered ${response.status}`);
  }

  /** @param {URL} address @param {Asked} asked */
  #send(address, { method = "GET", accept = "application/json", lastEventId, signal }) {
    const token = this.#options.token();
    const headers = {
      ...this.#options.headers,
      Accept: accept,
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(lastEventId && { "Last-Event-ID": lastEventId }),
    };
    return fetch(address, { method, headers, cache: "no-store", referrerPolicy: "no-referrer", signal: signal ?? null });
  }
}

/** @param {Response} response */
function retryMs(response) {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds * 1_000 : undefined;
}
