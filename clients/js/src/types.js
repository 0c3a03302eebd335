/**
 * What the modules speak of. Types alone: nothing of this is there at run time.
 *
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
 * @property {string} payment the payment's id
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
 * @typedef {"connecting" | "crowded" | "live" | "stale" | "reconnecting" | "finished" | "refused" | "closed"} Connection
 *   `crowded`: the browser opens six connections to an HTTP/1.1 server, and other tabs hold them all; this watch begins as
 *   soon as one is free. `live`: all that the gateway knows has arrived. `stale`: connected, but the gateway has lost its
 *   store for the moment. `finished`: nothing more is expected. `refused`: the token does not open this payment, or the
 *   request is not valid. The last two and `closed` end the watch.
 *
 * @typedef {object} KeptAcrossPages What `sessionStorage` and `localStorage` are.
 * @property {(key: string) => string | null} getItem
 * @property {(key: string, value: string) => void} setItem
 * @property {(key: string) => void} removeItem
 *
 * @typedef {object} Settings
 * @property {string} [url] the gateway's address; default: the page's own origin
 * @property {string} [token] a token that outlives the page
 * @property {() => Promise<string | void> | string | void} [getToken] called for a fresh token at each new connection. Where
 *   the token is a cookie, it may have the shop set the cookie anew and resolve to nothing. While it fails, it is called again
 *   after ever longer pauses, up to half a minute
 * @property {boolean} [withCredentials] send cookies to a gateway of another origin, for the token in the cookie
 *   `paystream_token`. The gateway has to list the page's origin in `access.cors`. Default: false. A gateway of the page's own
 *   origin always gets the cookies
 * @property {"finished"} [until] end once the payment is captured, canceled or expired, and quiet
 * @property {number} [heartbeatMs] the gateway's heartbeat interval in milliseconds; default 15,000, as the gateway's
 * @property {boolean} [share] whether the tabs of this origin that follow the same payments share one connection, and with it
 *   the token of the tab that holds it. Default: true. Takes Web Locks, which browsers have on HTTPS and localhost; elsewhere
 *   each tab has a connection of its own
 * @property {boolean} [acknowledge] whether the gateway is told which states the page has shown, once they are painted; its operators see
 *   that in the receipt of the payment. Of tabs that share a connection, the one that holds it tells. Default: false
 * @property {KeptAcrossPages} [storage] keeps what was seen, so that the next page continues
 *   there and `onEvent` gets what happened between the two pages. `sessionStorage`, for example. Default: none
 * @property {(payment: Payment) => void} [onStatus] called with every new state, first of all with the current one
 * @property {(event: PaymentEvent, payment: Payment) => void} [onEvent] called once for each event that comes after the first
 *   state, in order
 * @property {(connection: Connection) => void} [onConnection] called whenever the connection's state changes
 *
 * @typedef {Settings & { payment: string }} Options
 * @typedef {Settings & { payments: readonly string[] }} SeveralOptions `payments`: their ids, each once; a gateway allows
 *   eight on one connection unless configured otherwise, and the token has to open all of them
 *
 * @typedef {object} Watch
 * @property {Connection} connection
 * @property {() => void} close ends the watch
 *
 * @typedef {Watch & AsyncIterable<Payment>} PaymentWatch Iterated, it yields the newest state of each payment that has changed
 *   since the last step (states that a slow consumer has no time for are passed over; the timeline has them). The iteration
 *   ends with the watch, by an error if the watch is refused; leaving it early closes the watch
 *
 * @typedef {{ type: "snapshot" | "update" | "ready", v?: number, reason?: string, prev?: number, up_to_date?: boolean,
 *   late?: boolean, correction?: boolean, event?: PaymentEvent } & Payment} StateFrame A message of the stream about one payment.
 * @typedef {StateFrame | { type: "stale", stale: boolean } | { type: "closing", reason: string }} Frame A message of the stream.
 */
export {};
