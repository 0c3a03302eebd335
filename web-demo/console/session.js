/**
 * The operator's session. The browser keeps it in a cookie that no script can read; the token stays in this module's memory while the
 * page is open, and is used once more only if the gateway has restarted, since it then knows no session.
 */

import { Refused, Unavailable } from "../payments/gateway.js";
import { parse, valueOf } from "./metrics.js";

/** @typedef {{ operator: string, role: "read" | "write", expires_at: string | null }} Who */

/** The address that the gateway's routes stand below. */
export const BASE = new URL(".", document.baseURI).href;
/** What another origin cannot send. */
export const OWN = { "X-Paystream-Console": "1" };

/** @type {{ token: string, started: number, endsAt: number } | undefined} */
let kept;
/** @type {Promise<boolean> | undefined} */
let renewing;
/** When another session began last. */
let renewedAt = 0;
/** A request that was on its way by then has the old session, and only has to be sent again. */
const ON_THE_WAY_MS = 10_000;

/**
 * Signs in.
 *
 * @param {string} token as somebody pasted it
 * @returns {Promise<Who>}
 */
export async function signIn(token) {
  const pasted = token.trim().replace(/^bearer\s+/i, "");
  const who = await begin(pasted);
  kept = { token: pasted, started: await startedAt(), endsAt: Date.parse(who.expires_at ?? "") };
  return who;
}

export async function signOut() {
  kept = undefined;
  renewedAt = 0;
  sessionStorage.clear();
  await fetch(new URL("admin/session", BASE), { method: "DELETE", headers: OWN, cache: "no-store" });
}

/** Begins another session if the gateway has restarted since the last one began. Resolves to whether there is one. */
export function renew() {
  renewing ??= again().finally(() => (renewing = undefined));
  return renewing;
}

async function again() {
  if (Date.now() - renewedAt < ON_THE_WAY_MS) return true;
  if (!kept || Date.now() >= kept.endsAt) return false;
  const started = await startedAt();
  if (started === kept.started) return false;
  try {
    await begin(kept.token);
    kept.started = started;
    renewedAt = Date.now();
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    kept = undefined;
    return false;
  }
}

/** @param {string} token @returns {Promise<Who>} */
async function begin(token) {
  // A header can hold no other characters, and such a token is wrong anyway.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Refused(401, "bad_admin_token", "this is no token");
  const headers = { ...OWN, Authorization: `Bearer ${token}` };
  const answer = await fetch(new URL("admin/session", BASE), { method: "POST", headers, cache: "no-store" });
  if (answer.ok) return answer.json();
  const { reason = "", detail = `the gateway answered ${answer.status}` } = await answer.json().catch(() => ({}));
  if (answer.status >= 500) throw new Unavailable(answer.status, undefined);
  throw new Refused(answer.status, reason, detail);
}

/** When the gateway's process started, in seconds since 1970. */
async function startedAt() {
  const answer = await fetch(new URL("metrics", BASE), { cache: "no-store" });
  if (!answer.ok) throw new Unavailable(answer.status, undefined);
  return valueOf(parse(await answer.text()), "process_start_time_seconds") ?? 0;
}
