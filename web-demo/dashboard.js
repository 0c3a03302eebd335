/**
 * The dashboard: all payments of a realm, live. Puts the modules of `payments/` together with the elements of its page, and
 * decides what is in sight: the list, its empty state, or the gate where a token is asked for.
 */

import { moment } from "./format.js";
import { issue } from "./issuer.js";
import { Book } from "./payments/book.js";
import { Detail } from "./payments/detail.js";
import { Filters } from "./payments/filters.js";
import { Gateway } from "./payments/gateway.js";
import { List } from "./payments/list.js";
import { Live } from "./payments/live.js";
import { element, write } from "./payments/page.js";
import { refusal } from "./payments/refusal.js";
import { fillRow } from "./payments/row.js";
import * as session from "./payments/session.js";
import { showTotals } from "./payments/totals-view.js";

/** How long to wait after the last key before a filter is asked for. */
const TYPING_MS = 350;
/** How often the totals are written: more often, nobody could read them. */
const TOTALS_MS = 250;

/** @type {Record<import("./payments/follow.js").Connection, string>} */
const CONNECTIONS = {
  connecting: "Connecting",
  live: "Live",
  stale: "Updates delayed",
  reconnecting: "Reconnecting",
  refused: "No access",
};

const book = new Book();
const base = new URL(".", document.baseURI).href;
const gateway = new Gateway({
  base,
  token: session.token,
  renew: async () => {
    if (!issue) return false;
    session.keep(await issue());
    return true;
  },
});
const detail = new Detail({ url: base, getToken: session.token });
const form = /** @type {HTMLFormElement} */ (element("filters"));
const search = /** @type {HTMLInputElement} */ (element("search"));
const grid = element("grid");
const totals = /** @type {HTMLTableElement} */ (element("totals-table"));
const narrow = matchMedia("(max-width: 47.99rem)");
const filters = new Filters(form, (currency) => {
  const known = [...book.totals.byCurrency.values()].find((group) => group.currency === currency);
  return known?.exponent ?? undefined;
});
/** How far a list is that was just asked for. @type {import("./payments/live.js").Progress} */
const NOTHING = { loading: true, complete: false, full: false, completeSince: null };
/** @type {Live | undefined} */
let live;
let progress = NOTHING;
/** Whether the first page has come since the list was asked for. */
let begun = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let totalsTimer;

/** @type {List<import("./payments/book.js").Row>} */
const list = new List({
  grid,
  body: element("rows"),
  fill: fillRow,
  onOpen: ({ id }) => open(id),
  onEnd: () => live?.more(),
});

/** Asks for the list anew, with the filters as they are. */
function restart() {
  live?.close();
  book.clear();
  begun = false;
  progress = NOTHING;
  list.toTop();
  element("gate").hidden = true;
  element("browse").hidden = false;
  showFilterError("");
  live = new Live({
    gateway,
    book,
    query: filters.query(),
    onDraw: () => {
      begun = true;
      draw();
    },
    onProgress: (now) => {
      const [finished, wasLoading] = [!now.loading, progress.loading];
      progress = now;
      draw();
      if (finished && wasLoading) write(element("announcement"), summary());
    },
    onConnection: showConnection,
  });
  draw();
}

/** Writes what the book says now. Called at most once per frame of the screen. */
function draw() {
  list.show(book.rows, book.indexOf);
  detail.update(detail.id === undefined ? undefined : book.get(detail.id));
  const isEmpty = begun && book.rows.length === 0 && !progress.loading;
  element("loading").hidden = begun && !(book.rows.length === 0 && progress.loading);
  element("empty").hidden = !isEmpty;
  if (isEmpty) showEmpty();
  write(element("summary"), begun ? summary() : "");
  drawTotals();
}

/** Writes the totals soon, and with them what the filters offer. */
function drawTotals() {
  totalsTimer ??= setTimeout(() => {
    totalsTimer = undefined;
    showTotals(totals, book.totals);
    filters.offer("currencies", [...book.totals.byCurrency.values()].flatMap(({ currency }) => currency ?? []));
    filters.offer("providers", book.totals.byProvider.keys());
  }, TOTALS_MS);
}

/** How many payments there are, and how far back. */
function summary() {
  const count = (/** @type {number} */ number) => `${number.toLocaleString()} ${number === 1 ? "payment" : "payments"}`;
  const parts = [search.value.trim() ? `${book.rows.length.toLocaleString()} of ${count(book.size)}` : count(book.size)];
  if (progress.loading) parts.push("loading older ones");
  else if (progress.full) parts.push("older ones are left out; filters find them");
  else if (!progress.complete) parts.push("scroll to the end for older ones");
  else if (progress.completeSince) parts.push(`complete since ${moment(progress.completeSince)}, older ones may be missing`);
  return parts.join(" · ");
}

function showEmpty() {
  const text = search.value.trim() && book.size > 0 ? "No loaded payment has this id." : "No payment matches the filters.";
  write(element("empty-text"), filters.count > 0 || search.value.trim() ? text : "No payment has come yet. The first one appears here by itself.");
  element("reset").hidden = filters.count === 0;
}

/** @param {import("./payments/follow.js").Connection} connection @param {import("./payments/gateway.js").Refused} [refused] */
function showConnection(connection, refused) {
  element("connection").dataset.state = connection;
  write(element("connection"), CONNECTIONS[connection]);
  element("browse").dataset.state = connection;
  // A token that this page can get anew by itself is no use to forget.
  element("leave").hidden = issue !== undefined || session.token() === undefined;
  if (!refused) return;
  if (refused.reason === "bad_parameter") {
    showFilterError(`The gateway does not understand a filter: ${refused.message}`);
    progress = { ...NOTHING, loading: false, complete: true };
    begun = true;
    draw();
  } else {
    shut(refused);
  }
}

/** Shows why there is nothing to see, and asks for a token where another one would help. @param {import("./payments/gateway.js").Refused} refused */
function shut(refused) {
  closeDetail();
  live?.close();
  book.clear();
  list.show(book.rows, book.indexOf);
  const { title, text, asks } = refusal(refused);
  element("browse").hidden = true;
  element("gate").hidden = false;
  write(element("gate-title"), title);
  write(element("gate-text"), text);
  element("token-form").hidden = !asks;
  if (asks) element("token").focus();
}

/** @param {string} id */
function open(id) {
  detail.open(id, book.get(id));
  list.mark(id);
  element("browse").inert = narrow.matches;
  element("layout").dataset.detail = "open";
  element("detail-title").focus();
}

function closeDetail() {
  if (detail.id === undefined) return;
  detail.close();
  list.mark(undefined);
  element("browse").inert = false;
  element("layout").dataset.detail = "closed";
  grid.focus();
}

/** The filters have changed: asks anew, unless they cannot be right. */
function filter() {
  write(element("filters-count"), filters.count > 0 ? String(filters.count) : "");
  const wrong = filters.check();
  if (wrong) return showFilterError(wrong);
  filters.write();
  restart();
}

/** @param {string} text */
function showFilterError(text) {
  element("filter-error").hidden = text === "";
  write(element("filter-error"), text);
}

/** What is typed stays in the page: finds payments that are loaded, by any part of their id. */
function find() {
  const text = search.value.trim();
  book.search(text);
  element("look-up").hidden = text === "" || book.get(text) !== undefined;
  list.toTop();
  draw();
  clearTimeout(typing);
  typing = setTimeout(() => write(element("announcement"), summary()), TYPING_MS * 2);
}

/** Opens what the search is for: the only payment found, or the one of exactly this id, be it as old as it may. */
function lookUp() {
  const text = search.value.trim();
  const only = book.rows.length === 1 ? book.rows[0] : undefined;
  if (text) open(only?.id ?? text);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;
form.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(filter, TYPING_MS);
});
form.addEventListener("submit", (event) => event.preventDefault());
search.addEventListener("input", find);
element("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  lookUp();
});
element("filters-toggle").addEventListener("click", ({ currentTarget }) => {
  const toggle = /** @type {HTMLElement} */ (currentTarget);
  const isOpen = toggle.ariaExpanded !== "true";
  toggle.ariaExpanded = String(isOpen);
  element("panels").classList.toggle("open", isOpen);
});
element("reset").addEventListener("click", () => {
  filters.reset();
  filter();
  grid.focus();
});
element("detail-close").addEventListener("click", closeDetail);
element("leave").addEventListener("click", () => {
  session.keep(undefined);
  restart();
});
element("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = /** @type {HTMLInputElement} */ (element("token"));
  const token = session.tokenIn(field.value);
  element("token-error").hidden = token !== undefined;
  if (token === undefined) return field.focus();
  field.value = "";
  session.keep(token);
  restart();
  grid.focus();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && detail.id !== undefined) closeDetail();
});
// A link with a token, or with other filters, may be pasted into a tab that shows this page already.
addEventListener("hashchange", () => {
  session.takeFromFragment();
  filters.read();
  filter();
});

session.takeFromFragment();
filters.read();
filter();
