/** The deliveries: the newest first, by a filter, followed live or a page at a time. */

import { moment } from "../format.js";
import { Follower } from "../payments/follow.js";
import { Refused } from "../payments/gateway.js";
import { element, write } from "../payments/page.js";
import { sentence } from "../payments/words.js";
import { follow, read } from "./api.js";
import * as delivery from "./delivery.js";
import { fieldsOf, fillForm, note } from "./place.js";
import { fill } from "./table.js";
import { OUTCOMES, counted, toneOf } from "./words.js";

/** @typedef {import("./delivery.js").Delivery} Delivery */
/** @typedef {import("./api.js").Query} Query */

/** A page. */
const PAGE = 100;
/** So many are kept in the page while it follows: more than a source has at once. */
const MOST = 2_000;
/** How long to wait after the last key. */
const TYPING_MS = 350;

const form = /** @type {HTMLFormElement} */ (element("deliveries-filter"));
const following = /** @type {HTMLInputElement} */ (form.elements.namedItem("follow"));
/** What is listed, by id. @type {Map<string, Delivery>} */
const listed = new Map();
/** The realms of the sources. @type {Map<string, string>} */
const realms = new Map();
/** @type {Follower | undefined} */
let follower;
/** Where the next page begins; `null` if there is none. @type {string | null} */
let next = null;
/** Counts the questions: the answer to an earlier one is no use. */
let asked = 0;
let isOpen = false;
let scheduled = false;
/** @type {string} */
let state = "";

/** @param {URLSearchParams} query */
export function open(query) {
  isOpen = true;
  fillForm(form, query);
  following.checked = query.get("follow") !== "no";
  void offer();
  restart();
}

export function close() {
  isOpen = false;
  follower?.close();
  follower = undefined;
  delivery.hide();
}

/** What was shown may be another process's; the list is asked for anew. */
export function recovered() {
  void offer();
  if (!following.checked) restart();
}

/** Offers the sources that there are. */
async function offer() {
  const { sources } = await read("admin/sources").catch(() => ({ sources: [] }));
  const select = /** @type {HTMLSelectElement} */ (form.elements.namedItem("source"));
  for (const { source, realm } of sources) {
    realms.set(source, realm);
    if (![...select.options].some(({ value }) => value === source)) select.add(new Option(source, source));
  }
}

/** @returns {Query} */
function query() {
  const { follow: _, ...fields } = fieldsOf(form);
  return Object.entries(fields).map(([name, value]) => [name, name === "since" || name === "until" ? new Date(value).toISOString() : value]);
}

function restart() {
  follower?.close();
  follower = undefined;
  listed.clear();
  next = null;
  asked += 1;
  state = "Loading";
  fail("");
  draw();
  if (following.checked) return live();
  void page();
}

function live() {
  const wanted = query();
  follower = new Follower({
    named: true,
    connect: (cursor, signal) => follow("admin/deliveries", [...wanted, ["limit", String(PAGE)]], cursor, signal),
    onFrame: take,
    onConnection: (connection, refused) => {
      if (refused) return refuse(refused);
      state = { connecting: "Loading", live: "Following", stale: "The store does not answer; what comes is shown once it does", reconnecting: "Reconnecting; new ones may be missing", refused: "" }[connection];
      schedule();
    },
  });
}

/** @param {Delivery & { type?: string }} frame */
function take(frame) {
  if (frame.type === "gap" && !frame.id) {
    fail("More came than could be shown: some deliveries are missing in between. Load the page again to see them.");
    return true;
  }
  if (!frame.id) return true;
  listed.set(frame.id, frame);
  schedule();
  return true;
}

/** Adds the next page. */
async function page() {
  const mine = asked;
  const before = /** @type {Query} */ (next === null ? [] : [["before", next]]);
  try {
    const answer = await read("admin/deliveries", [...query(), ["limit", String(PAGE)], ...before]);
    if (mine !== asked) return;
    for (const record of answer.records) listed.set(record.id, record);
    next = answer.next;
    state = "";
    draw();
  } catch (error) {
    if (mine === asked) refuse(error);
  }
}

/** @param {unknown} error */
function refuse(error) {
  const isMine = error instanceof Refused && error.status !== 401;
  if (isMine) fail(`${sentence(error.message)}.`);
  state = isMine ? "" : "The gateway does not answer";
  draw();
}

/** @param {string} text */
function fail(text) {
  element("deliveries-error").hidden = text === "";
  write(element("deliveries-error"), text);
}

/** However much comes, it is written once per frame of the screen. */
function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    if (isOpen) draw();
  });
}

function draw() {
  const rows = [...listed.values()].sort((one, other) => (one.at < other.at ? 1 : one.at > other.at ? -1 : one.id < other.id ? 1 : -1));
  for (const row of rows.splice(MOST)) listed.delete(row.id);
  fill(element("deliveries-rows"), rows, ({ id }) => id, (record) => [
    { text: moment(record.at), onOpen: () => show(record), name: `Delivery of ${moment(record.at)}, ${record.outcome}` },
    { text: record.reason ? `${record.outcome}: ${record.reason}` : record.outcome, tone: toneOf(record.outcome) },
    { text: record.source },
    { text: record.type ?? "", className: "wide" },
    { text: record.payment ?? "", className: "wide code" },
  ]);
  const words = rows.length === 0 && state !== "Loading" ? "No delivery passes the filter" : counted(rows.length, "delivery", "deliveries");
  write(element("deliveries-text"), [state === "Loading" ? "" : words, state].filter(Boolean).join(" · "));
  element("deliveries-older").hidden = next === null;
}

/** @param {Delivery} record */
function show(record) {
  delivery.show(record, realms.get(record.source));
  for (const row of element("deliveries-rows").children) row.classList.toggle("open", /** @type {HTMLElement} */ (row).dataset.key === record.id);
  element("delivery-title").focus();
}

function hide() {
  const open = element("deliveries-rows").querySelector(".open");
  open?.classList.remove("open");
  delivery.hide();
  (/** @type {HTMLElement | null} */ (open?.querySelector("button")) ?? element("deliveries-title")).focus();
}

function filter() {
  const { follow: _, ...fields } = fieldsOf(form);
  note("deliveries", { ...fields, follow: following.checked ? "" : "no" });
  restart();
}

/** @type {HTMLSelectElement} */ (form.elements.namedItem("outcome")).append(...OUTCOMES.map((outcome) => new Option(sentence(outcome), outcome)));
/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;
form.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(filter, TYPING_MS);
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(filter));
element("deliveries-older").addEventListener("click", () => void page());
element("delivery-close").addEventListener("click", hide);
element("delivery").addEventListener("keydown", ({ key }) => key === "Escape" && hide());
