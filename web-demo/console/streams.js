/** The open streams of this node: who watches what, and ending some, with a reason that each is told. */

import { Refused } from "../payments/gateway.js";
import { element, write } from "../payments/page.js";
import { sentence } from "../payments/words.js";
import { change, read } from "./api.js";
import { confirm } from "./confirm.js";
import { fieldsOf, fillForm, note } from "./place.js";
import { fill } from "./table.js";
import { counted, span } from "./words.js";

/** @typedef {{ id: string, realm: string, payments: string[], subject: string | null, client: string | null, age_s: number, lag: number }} Stream */
/** @typedef {import("./api.js").Query} Query */

const MOST = 200;
const TYPING_MS = 350;
/** Every how many pulses the list is read. */
const SLOW = 2;

const form = /** @type {HTMLFormElement} */ (element("streams-filter"));
let asked = 0;
let pulses = 0;
let mayChange = false;

/** @param {URLSearchParams} query @param {boolean} may whether the operator may change things */
export function open(query, may) {
  mayChange = may;
  fillForm(form, query);
  write(element("streams-done"), "");
  write(element("streams-text"), "Loading");
  void list();
}

export function close() {
  asked += 1;
}

export async function pulse() {
  pulses += 1;
  if (pulses % SLOW === 0) await list();
}

export function recovered() {
  void list();
}

/** @returns {Query} */
const query = () => Object.entries(fieldsOf(form));

async function list() {
  asked += 1;
  const mine = asked;
  try {
    /** @type {{ count: number, streams: Stream[] }} */
    const { count, streams } = await read("admin/streams", [...query(), ["limit", String(MOST)]]);
    if (mine === asked) draw(count, streams);
  } catch (error) {
    if (mine !== asked || !(error instanceof Refused) || error.status === 401) return;
    const isNone = error.reason === "unknown_payment" || error.reason === "other_role";
    fail(isNone ? "" : `${sentence(error.message)}.`);
    draw(0, [], isNone ? `${sentence(error.message)}.` : "");
  }
}

/** @param {number} count @param {Stream[]} streams @param {string} [instead] */
function draw(count, streams, instead) {
  if (instead === undefined) fail("");
  const some = streams.length < count ? `, of which the ${streams.length.toLocaleString()} oldest are shown` : "";
  write(element("streams-text"), instead ?? (count === 0 ? "No stream is open that passes the filter." : `${counted(count, "stream")} open on this node${some}`));
  fill(element("streams-rows"), streams, (stream) => JSON.stringify([stream, mayChange]), (stream) => {
    const what = stream.payments.join(", ") || "all payments";
    return [
      { text: what, className: "code" },
      { text: stream.subject ?? "–" },
      { text: stream.realm, className: "wide" },
      { text: stream.client ?? "–", className: "wide" },
      { text: span(stream.age_s), className: "number" },
      { text: stream.lag.toLocaleString(), className: "number", ...(stream.lag > 0 && { tone: "asking" }) },
      mayChange ? { text: "Close", name: `Close the stream of ${what}`, onOpen: () => void end(stream) } : { text: "" },
    ];
  });
  /** @type {HTMLButtonElement} */ (element("close-many")).disabled = query().length === 0 || count === 0;
}

/** @param {string} text */
function fail(text) {
  element("streams-error").hidden = text === "";
  write(element("streams-error"), text);
}

/** Closes one, or all that pass the filter. @param {Stream} [stream] */
async function end(stream) {
  const text = "The page is told the reason, and most pages come back at once with a new stream.";
  const title = stream ? `Close the stream of ${stream.payments.join(", ") || "all payments"}?` : "Close all streams that pass the filter?";
  const answer = await confirm({ title, text, action: "Close" });
  if (!answer) return;
  const reason = /** @type {Query} */ (answer.reason ? [["reason", answer.reason]] : []);
  try {
    const { closed } = stream
      ? await change("DELETE", `admin/streams/${encodeURIComponent(stream.id)}`, reason)
      : await change("DELETE", "admin/streams", [...query(), ...reason]);
    fail("");
    write(element("streams-done"), `${counted(closed, "stream")} closed.`);
  } catch (error) {
    if (error instanceof Refused && error.status !== 401) fail(`${sentence(error.message)}.`);
  }
  element("streams-title").focus();
  void list();
}

function filter() {
  note("streams", fieldsOf(form));
  write(element("streams-text"), "Loading");
  void list();
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;
form.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(filter, TYPING_MS);
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(filter));
element("close-many").addEventListener("click", () => void end());
