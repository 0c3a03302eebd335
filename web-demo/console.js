/**
 * The console: puts the pages of `console/` together, one at a time, and decides who sees them. Its pulse reads the metrics every two
 * seconds: so it knows whether the gateway answers, says so if it does not, and brings the page up to date once it does.
 */

import { metrics, read } from "./console/api.js";
import * as deliveries from "./console/deliveries.js";
import { parse, valueOf } from "./console/metrics.js";
import * as overview from "./console/overview.js";
import * as payment from "./console/payment.js";
import { address, here } from "./console/place.js";
import * as quarantine from "./console/quarantine.js";
import { signIn, signOut } from "./console/session.js";
import * as streams from "./console/streams.js";
import { Refused } from "./payments/gateway.js";
import { element, write } from "./payments/page.js";

/**
 * @typedef {object} View
 * @property {(query: URLSearchParams, mayChange: boolean) => void} open
 * @property {() => void} close
 * @property {(metrics: string) => Promise<void>} [pulse] called every two seconds
 * @property {() => void} [restarted] the gateway is another process now
 * @property {() => void} [recovered] the gateway answers again
 */

const PULSE_MS = 2_000;
/** Every how many pulses the session is looked at. */
const SESSION_PULSES = 5;
/** @type {Record<string, View>} */
const VIEWS = { overview, deliveries, quarantine, payment, streams };

/** @type {import("./console/session.js").Who | undefined} */
let who;
/** @type {View | undefined} */
let view;
let started = 0;
let pulses = 0;
let isLost = false;

/** Shows a page. @param {boolean} [takesFocus] */
function go(takesFocus = false) {
  if (!who) return;
  const { page, query } = here();
  const name = page in VIEWS ? page : "overview";
  view?.close();
  for (const other of Object.keys(VIEWS)) element(other).hidden = other !== name;
  for (const link of document.querySelectorAll("#nav a")) {
    const isHere = link.getAttribute("href") === address(name);
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (isHere) link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  view = VIEWS[name];
  document.title = `${element(`${name}-title`).textContent} · Console · Paystream`;
  view?.open(query, who.role === "write");
  if (takesFocus) element(`${name}-title`).focus();
  void beat();
}

/** @param {"connecting" | "live" | "reconnecting" | "refused"} state @param {string} text */
function connection(state, text) {
  element("connection").dataset.state = state;
  write(element("connection"), text);
}

/** Opens the console to whoever has a session, else asks for a token. */
async function enter() {
  try {
    who = await read("admin/session");
  } catch (error) {
    if (error instanceof Refused) return shut(error);
    lost();
    return void setTimeout(enter, PULSE_MS);
  }
  element("gate").hidden = true;
  element("nav").hidden = false;
  element("leave").hidden = false;
  element("who").hidden = false;
  write(element("who"), who?.role === "read" ? `${who.operator}, for reading alone` : (who?.operator ?? ""));
  document.body.dataset.role = who?.role ?? "";
  isLost = false;
  element("banner").hidden = true;
  connection("live", "Live");
  go();
}

/** Shows nothing any more, and asks for a token where one helps. @param {Refused} refused */
function shut({ reason, message }) {
  const was = who;
  who = undefined;
  view?.close();
  view = undefined;
  for (const name of Object.keys(VIEWS)) element(name).hidden = true;
  for (const id of ["nav", "leave", "who", "banner"]) element(id).hidden = true;
  const dialog = /** @type {HTMLDialogElement} */ (element("confirm"));
  if (dialog.open) dialog.close();
  element("gate").hidden = false;
  element("token-form").hidden = reason === "admin_closed" || reason === "foreign_host";
  /** @type {Record<string, [string, string]>} */
  const words = {
    session_over: was ? ["Sign in again", "The session has ended. The page goes on where it was."] : ["Sign in", "The session has ended."],
    admin_closed: ["The console is closed", "No admin token is configured: set `token` under [admin]."],
    signed_out: ["Signed out", "The session has ended, and the browser has forgotten it."],
  };
  const isWrong = reason === "bad_admin_token" && message !== MISSING;
  const [title, text] = words[reason] ?? (isWrong ? ["The token is not accepted", "It is none of the admin tokens of this gateway."] : ["Sign in", "With an admin token of this gateway: `token` under [admin], or that of an operator."]);
  write(element("gate-title"), title);
  write(element("gate-text"), reason === "too_many_wrong_tokens" || reason === "foreign_host" ? message : text);
  connection("refused", "Signed out");
  element("token").focus();
}

/** What the gateway says to who sends no token; here, that nobody has signed in yet. */
const MISSING = "send the admin token as a bearer token";

function lost() {
  isLost = true;
  connection("reconnecting", "Reconnecting");
  element("banner").hidden = false;
  write(element("banner"), "The gateway does not answer: it may be restarting. What you see may be out of date; the page goes on by itself.");
}

/** One look at the gateway. */
async function beat() {
  try {
    const text = await metrics();
    pulses += 1;
    const now = valueOf(parse(text), "process_start_time_seconds") ?? 0;
    const hasRestarted = started !== 0 && now !== started;
    started = now;
    // A restart that nobody noticed has ended the session all the same.
    if (isLost || hasRestarted || pulses % SESSION_PULSES === 0) who = await read("admin/session");
    if (hasRestarted) for (const one of Object.values(VIEWS)) one.restarted?.();
    if (isLost || hasRestarted) {
      isLost = false;
      connection("live", "Live");
      element("banner").hidden = !hasRestarted;
      if (hasRestarted) write(element("banner"), "The gateway has restarted, and the page is up to date again.");
      view?.recovered?.();
    }
    await view?.pulse?.(text);
  } catch (error) {
    if (!(error instanceof Refused)) return lost();
    if (error.status === 401 || error.status === 403) return shut(error);
    // Not an interruption, which would pass for one.
    reportError(error);
  }
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
function schedule() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    if (who && document.visibilityState === "visible") await beat();
    schedule();
  }, PULSE_MS);
}

addEventListener("hashchange", () => go(true));
addEventListener("visibilitychange", () => {
  if (who && document.visibilityState === "visible") void beat();
});
element("leave").addEventListener("click", async () => {
  await signOut().catch(() => undefined);
  shut(new Refused(401, "signed_out", ""));
});
element("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = /** @type {HTMLInputElement} */ (element("token"));
  const button = /** @type {HTMLButtonElement} */ (element("enter"));
  button.disabled = true;
  try {
    await signIn(field.value);
    await enter();
  } catch (error) {
    if (error instanceof Refused) shut(new Refused(error.status, error.reason, error.reason === "bad_admin_token" ? "" : error.message));
    else write(element("gate-text"), "The gateway does not answer. Try again.");
  } finally {
    field.value = "";
    button.disabled = false;
  }
});

schedule();
void enter();
