/** The routes below `/admin`, as the console asks for them: by its session, and with the header that only its own page can send. */

import { Gateway } from "../payments/gateway.js";
import { BASE, OWN, renew } from "./session.js";

const gateway = new Gateway({ base: BASE, token: () => undefined, renew, headers: OWN });

/** @typedef {import("../payments/gateway.js").Query} Query */

/** What a route answers to a GET. @param {string} path @param {Query} [query] @returns {Promise<any>} */
export async function read(path, query = []) {
  return (await gateway.ask(path, query)).json();
}

/** Changes something. @param {"POST" | "DELETE"} method @param {string} path @param {Query} [query] @returns {Promise<any>} */
export async function change(method, path, query = []) {
  return (await gateway.ask(path, query, { method })).json();
}

/** Opens a stream of events. @param {string} path @param {Query} query @param {string} lastEventId @param {AbortSignal} signal */
export function follow(path, query, lastEventId, signal) {
  return gateway.ask(path, [...query, ["heartbeat", "event"]], { accept: "text/event-stream", lastEventId, signal });
}

/** The metrics as text. */
export async function metrics() {
  return (await gateway.ask("metrics", [], { accept: "*/*" })).text();
}

/** What `/problems/` says of a reason code, or nothing. @param {string} reason */
export async function explanation(reason) {
  if (!/^[a-z0-9_]+$/.test(reason)) return "";
  const text = await gateway.ask(`problems/${reason}`, [], { accept: "*/*" }).then((answer) => answer.text()).catch(() => "");
  return text.split("\n").slice(1).join(" ").replaceAll("`", "").trim();
}

/** Whether a health route says yes, and why not. @param {string} path @returns {Promise<{ ok: boolean, detail: string }>} */
export async function health(path) {
  const answer = await fetch(new URL(path, BASE), { cache: "no-store" });
  if (answer.ok) return { ok: true, detail: "" };
  const { reason, detail } = await answer.json().catch(() => ({}));
  return { ok: false, detail: reason === "other_role" ? "" : (detail ?? `status ${answer.status}`) };
}
