/** The quarantine: what was verified and not understood, by a filter; replayed or discarded, one or all that pass. */

import { moment } from "../format.js";
import { Refused } from "../payments/gateway.js";
import { element, write } from "../payments/page.js";
import { sentence } from "../payments/words.js";
import { change, read } from "./api.js";
import { confirm } from "./confirm.js";
import { fieldsOf, fillForm, note } from "./place.js";
import { facts, fill } from "./table.js";
import { counted } from "./words.js";

/**
 * @typedef {object} Record_ A record of a quarantine.
 * @property {string | null} id `null` if no body is held, so that it cannot be replayed
 * @property {string} at
 * @property {string} class
 * @property {string} because
 * @property {string} [reason]
 * @property {string} [type]
 * @property {string} [event]
 * @property {string} [payment]
 * @property {string} source
 */
/** @typedef {import("./api.js").Query} Query */
/** @typedef {"replay" | "discard"} Act */

const PAGE = 100;
/** The most records that one request acts on. */
const MOST = 1024;
const TYPING_MS = 350;
/** What an act is called. @type {Record<Act, { title: string, text: string, action: string, done: string }>} */
const WORDS = {
  replay: { title: "Replay", text: "An event goes the way of a delivery again, with today's preset. Replaying it twice changes nothing.", action: "Replay", done: "replayed" },
  discard: { title: "Discard", text: "What is kept of the event is removed, and it cannot be replayed any more.", action: "Discard", done: "discarded" },
};

const form = /** @type {HTMLFormElement} */ (element("quarantine-filter"));
const select = /** @type {HTMLSelectElement} */ (form.elements.namedItem("source"));
/** @type {Record_[]} */
let records = [];
/** @type {string | null} */
let next = null;
let asked = 0;
/** The record that is shown. @type {string | undefined} */
let held;

/** @param {URLSearchParams} query */
export async function open(query) {
  fillForm(form, query);
  await offer();
  restart();
  const id = query.get("id");
  if (id) void show(id);
}

export function close() {
  asked += 1;
  hide();
}

export function recovered() {
  void offer().then(restart);
}

/** Offers the sources that there are. One is always chosen: each has a quarantine of its own. */
async function offer() {
  const { sources } = await read("admin/sources").catch(() => ({ sources: [] }));
  for (const { source } of sources) {
    if (![...select.options].some(({ value }) => value === source)) select.add(new Option(source, source));
  }
}

/** @returns {Query} */
const query = () => Object.entries(fieldsOf(form));

function restart() {
  asked += 1;
  records = [];
  next = null;
  fail("");
  write(element("quarantine-text"), select.value ? "Loading" : "This node takes no webhooks.");
  fill(element("quarantine-rows"), [], () => "", () => []);
  if (select.value) void page();
}

async function page() {
  const mine = asked;
  try {
    const before = /** @type {Query} */ (next === null ? [] : [["before", next]]);
    const answer = await read("admin/quarantine", [...query(), ["limit", String(PAGE)], ...before]);
    if (mine !== asked) return;
    records = [...records, ...answer.records];
    next = answer.next;
    draw();
  } catch (error) {
    if (mine === asked) refuse(error);
  }
}

/** @param {unknown} error */
function refuse(error) {
  if (error instanceof Refused && error.status === 401) return;
  write(element("quarantine-text"), "");
  fail(error instanceof Refused ? `${sentence(error.message)}.` : "The gateway does not answer. Nothing may have been changed; look again once it does.");
}

/** @param {string} text */
function fail(text) {
  element("quarantine-error").hidden = text === "";
  write(element("quarantine-error"), text);
}

function draw() {
  write(element("quarantine-text"), records.length === 0 ? "Nothing is in quarantine that passes the filter." : counted(records.length, "event") + (next === null ? "" : ", and older ones"));
  fill(element("quarantine-rows"), records, (record) => JSON.stringify([record.id, record.at, record.event]), ({ id, at, reason, class: kind, type, payment }) => {
    const when = id === null ? { text: moment(at) } : { text: moment(at), onOpen: () => void show(id), name: `Event of ${moment(at)}, ${reason ?? kind}` };
    return [when, { text: reason ?? "" }, { text: kind, className: "wide" }, { text: type ?? "", className: "wide" }, { text: payment ?? "", className: "code" }];
  });
  element("quarantine-older").hidden = next === null;
  const isAny = records.some(({ id }) => id !== null);
  for (const id of ["replay-many", "discard-many"]) /** @type {HTMLButtonElement} */ (element(id)).disabled = !isAny;
}

/** Opens one. @param {string} id */
async function show(id) {
  try {
    const shown = await read(`admin/quarantine/${encodeURIComponent(id)}`);
    held = id;
    fail("");
    const { kept, because, not_replayable: not, settled } = shown;
    write(element("held-because"), settled ? "It was replayed or discarded." : `${sentence(because ?? "")}`);
    element("held-not").hidden = !not;
    write(element("held-not"), not ? `It cannot be replayed: ${not}.` : "");
    element("replay-one").hidden = settled || !shown.replayable;
    element("discard-one").hidden = settled;
    const plain = Object.entries(shown).filter(([name, value]) => !["kept", "id", "log", "because", "not_replayable", "settled", "replayable"].includes(name) && typeof value !== "object");
    facts(element("held-facts"), plain.map(([name, value]) => [sentence(name), name === "at" ? moment(String(value)) : String(value)]));
    element("held-kept").hidden = kept === undefined;
    write(element("held-body"), kept === undefined ? "" : JSON.stringify(kept, null, 2));
    element("held").hidden = false;
    element("held-title").focus();
  } catch (error) {
    refuse(error);
  }
}

function hide() {
  if (element("held").hidden) return;
  element("held").hidden = true;
  held = undefined;
}

/** Asks the gateway to act, once the operator has confirmed it. @param {Act} act @param {string | undefined} id of one; else all that pass the filter */
async function act(act, id) {
  const { title, text, action, done } = WORDS[act];
  const many = `all held events of ${select.value} that pass the filter, ${MOST.toLocaleString()} at most`;
  const answer = await confirm({ title: `${title} ${id ? "this event" : many}?`, text, action });
  if (!answer) return;
  const reason = /** @type {Query} */ (answer.reason ? [["reason", answer.reason]] : []);
  fail("");
  write(element("quarantine-done"), "");
  try {
    const said = id
      ? await change("POST", `admin/quarantine/${encodeURIComponent(id)}/${act}`, reason)
      : await change("POST", `admin/quarantine/${act}`, [...query(), ["limit", String(MOST)], ...reason]);
    write(element("quarantine-done"), id ? one(said, done) : several(said, done));
    hide();
    restart();
    element("quarantine-title").focus();
  } catch (error) {
    refuse(error);
  }
}

/** What came of one event. @param {any} said @param {string} done */
function one(said, done) {
  if (said.settled === false) return "It is still in quarantine: the preset does not understand it yet.";
  const parts = [said.outcome && `it is ${said.outcome} now`, said.payment && `payment ${said.payment}`, said.status && `status ${said.status}`].filter(Boolean);
  return [`The event was ${done}`, ...parts].join("; ") + ".";
}

/** What came of many. @param {{ settled: number, left: number, next: string | null }} said @param {string} done */
function several({ settled, left, next }, done) {
  const rest = left ? ` ${counted(left, "event")} stayed in quarantine.` : "";
  return `${counted(settled, "event")} ${settled === 1 ? "was" : "were"} ${done}.${rest}${next ? " There are more." : ""}`;
}

function filter() {
  note("quarantine", fieldsOf(form));
  hide();
  restart();
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;
form.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(filter, TYPING_MS);
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(filter));
element("quarantine-older").addEventListener("click", () => void page());
element("held-close").addEventListener("click", () => {
  hide();
  element("quarantine-title").focus();
});
element("replay-many").addEventListener("click", () => void act("replay", undefined));
element("discard-many").addEventListener("click", () => void act("discard", undefined));
element("replay-one").addEventListener("click", () => void act("replay", held));
element("discard-one").addEventListener("click", () => void act("discard", held));
