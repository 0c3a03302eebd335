/** A gateway to test against: the real binary (PAYSTREAM_BIN) on free ports, with its own folder, stopped by its process. */

import { spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const WEB = fileURLToPath(new URL("..", import.meta.url));
export const BINARY = process.env.PAYSTREAM_BIN ?? join(WEB, "../target/debug/paystream");
export const TOKEN_KEY = "e2e-token-key-".padEnd(48, "7k2QxZ");
const WEBHOOK_SECRET = "whsec_".padEnd(54, "9d2Fb71c");

/** The longest that anything here may take. */
export const PATIENCE_MS = 30_000;

/** The page's heartbeats in these tests: short, so that silence is noticed soon. */
export const HEARTBEAT_MS = 400;

/** @param {string} message @param {() => unknown} condition true once it holds */
export async function until(message, condition) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE_MS} ms: ${message}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  await once(server, "close");
  return port;
}

export class Gateway {
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #process;
  #folder;
  #ports;
  #environment;

  /** @param {string} folder @param {[number, number]} ports @param {Record<string, string>} environment */
  constructor(folder, ports, environment) {
    this.#folder = folder;
    this.#ports = ports;
    this.#environment = environment;
    this.url = `http://127.0.0.1:${ports[0]}`;
    this.admin = `http://127.0.0.1:${ports[1]}`;
  }

  /** How many streams are open. */
  async streams() {
    const metrics = await fetch(`http://127.0.0.1:${this.#ports[1]}/metrics`).then((answer) => answer.text());
    return Number(/^paystream_streams_open (\d+)/m.exec(metrics)?.[1]);
  }

  /**
   * @param {{ linger?: string, store?: string, recent?: number, cors?: string[], more?: string, environment?: Record<string, string> }} [settings]
   *   `store`: lines under `[store]`, else a folder of its own; `recent`: how many payments the list of all holds; `cors`: the origins whose
   *   pages may read; `more`: further lines at the end of the file; `environment`: what they refer to
   */
  static async start({ linger = "5m", store, recent = 100_000, cors = [], more = "", environment = {} } = {}) {
    const folder = await mkdtemp(join(tmpdir(), "paystream-e2e-"));
    /** @type {[number, number]} */
    const ports = [await freePort(), await freePort()];
    const gateway = new Gateway(folder, ports, environment);
    await writeFile(join(folder, "paystream.toml"), configuration(ports, linger, `${store ?? `path = "${folder}/data"`}\nrecent = ${recent}`, cors) + more);
    await gateway.run();
    return gateway;
  }

  /** Starts the process, for the first time or again. */
  async run() {
    const environment = { ...process.env, ...this.#environment, E2E_TOKEN_KEY: TOKEN_KEY, E2E_WEBHOOK_SECRET: WEBHOOK_SECRET };
    const options = { env: environment, stdio: /** @type {"ignore"} */ ("ignore") };
    this.#process = spawn(BINARY, ["serve", "--config", join(this.#folder, "paystream.toml")], options);
    const exited = once(this.#process, "exit").then(([code]) => {
      throw new Error(`the gateway ended with ${code}`);
    });
    exited.catch(() => undefined);
    const ready = () => fetch(`http://127.0.0.1:${this.#ports[1]}/readyz`).then((answer) => answer.ok, () => false);
    await Promise.race([until("the gateway is ready", ready), exited]);
  }

  /** As a power cut would. */
  async kill() {
    const exited = this.#process && once(this.#process, "exit");
    this.#process?.kill("SIGKILL");
    await exited;
  }

  /** Lets it drain and end. */
  async terminate() {
    const exited = this.#process && once(this.#process, "exit");
    this.#process?.kill("SIGTERM");
    await exited;
  }

  async stop() {
    await this.kill();
    await rm(this.#folder, { recursive: true });
  }

  /** @param {string} payment */
  events(payment, query = "") {
    return eventsUrl(this.url, payment, query);
  }

  /** Posts one signed Stripe webhook; returns its event id. @param {string} payment @param {string} type @param {object} [object] */
  async post(payment, type, object) {
    const { id, headers, body } = webhook(payment, type, object);
    const answer = await fetch(`${this.url}/webhooks/stripe`, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(`the webhook was answered by ${answer.status}`);
    return id;
  }
}

/** One signed Stripe webhook. @param {string} payment @param {string} type @param {object} [more] what its object has besides, or instead */
export function webhook(payment, type, more = {}) {
  const id = `evt_${randomUUID().replaceAll("-", "")}`;
  const object = { id: payment, object: "payment_intent", amount: 4200, amount_received: 4200, currency: "eur", ...more };
  const now = Math.floor(Date.now() / 1000);
  const event = { id, object: "event", type, created: now, livemode: false, data: { object } };
  const body = JSON.stringify(event);
  const signature = createHmac("sha256", WEBHOOK_SECRET).update(`${now}.${body}`).digest("hex");
  const headers = { "content-type": "application/json", "stripe-signature": `t=${now},v1=${signature}` };
  return { id, headers, body };
}

/** @param {[number, number]} ports @param {string} linger @param {string} store @param {string[]} cors */
function configuration([open, admin], linger, store, cors) {
  return `
[listen]
public = "127.0.0.1:${open}"
ingest = "127.0.0.1:${open}"
admin = "127.0.0.1:${admin}"
[store]
${store}
[[source]]
name = "stripe"
provider = "stripe"
realm = "default"
secrets = ["env:E2E_WEBHOOK_SECRET"]
[access]
audience = "paystream"
leeway = "0s"
cors = ${JSON.stringify(cors)}
[[access.key]]
kid = "e2e"
algorithm = "HS256"
secret = "env:E2E_TOKEN_KEY"
realms = ["default"]
operator = true
[pages]
dashboard = true
[stream]
heartbeat = "${HEARTBEAT_MS}ms"
linger = "${linger}"
drain = "3s"
`;
}

/** A token for one payment, or for all of them: `*`. @param {string} payment @param {number} [lifeS] */
export function token(payment, lifeS = 600) {
  const now = Math.floor(Date.now() / 1000);
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { aud: "paystream", realm: "default", payments: [payment], iat: now, exp: now + lifeS };
  const signed = `${part({ alg: "HS256", kid: "e2e", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", TOKEN_KEY).update(signed).digest("base64url")}`;
}

/** The address of a payment's stream, as a page would put it together. @param {string} origin @param {string} payment */
export function eventsUrl(origin, payment, query = "") {
  return `${origin}/v1/payments/${payment}/events?access_token=${token(payment)}${query}`;
}

/** An id without digits: of random ones, one in ten thousand looks as if a card number stood in it, and is quarantined. */
export function newPayment() {
  const letters = randomUUID().replaceAll("-", "").replaceAll(/\d/g, (digit) => "ghijklmnop"[Number(digit)] ?? "");
  return `pi_${letters.slice(0, 24)}`;
}

export function launch() {
  const args =
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: args.split(" ") });
}

/**
 * Opens an empty page of the gateway's origin, which can import what stands in this folder's parent under `/web/`, and the
 * client's modules where they are in the repository.
 *
 * @param {import("playwright-core").Browser} browser
 * @param {{ url: string }} gateway
 */
export async function blankPage(browser, gateway) {
  // The certificate of the tests' own nginx signs itself.
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  await page.route(`${gateway.url}/page`, (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
  await page.route(`${gateway.url}/web/**`, async (route) => {
    const path = new URL(route.request().url()).pathname.replace("/web/", "");
    // Bundlers add what some packages leave off.
    const body = await readFile(join(WEB, path.endsWith(".js") ? path : `${path}.js`), "utf8");
    await route.fulfill({ contentType: "text/javascript", body });
  });
  await page.route(`${gateway.url}/clients/**`, async (route) => {
    const path = join(WEB, "..", new URL(route.request().url()).pathname);
    await route.fulfill({ contentType: "text/javascript", body: await readFile(path, "utf8") });
  });
  await page.goto(`${gateway.url}/page`);
  return page;
}
