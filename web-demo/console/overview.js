/** How the gateway is: its health, what comes in and goes out, its sources, its node and its store. Read anew with every pulse. */

import { element, make, write } from "../payments/page.js";
import { health, read } from "./api.js";
import { bars, columns, line } from "./chart.js";
import { buckets, parse, quantile, sumsBy, valueOf } from "./metrics.js";
import { address } from "./place.js";
import { facts, fill } from "./table.js";
import { OUTCOMES, brief, counted, size, span, toneOf } from "./words.js";

/** @typedef {import("./metrics.js").Metrics} Metrics */
/** @typedef {{ at: number, webhooks: number }} Reading */

/** So many readings the chart of the rate has, two seconds apart. */
const READINGS = 60;
/** Every how many pulses the sources are read. */
const SLOW = 3;

/** @type {Reading[]} */
let readings = [];
/** @type {number[]} */
let rates = [];
let pulses = 0;

export function open() {
  pulses = 0;
}

export function close() {}

/** Takes what `/metrics` says now. @param {string} text */
export async function pulse(text) {
  const metrics = parse(text);
  rate(metrics);
  latency(metrics);
  outcomes(metrics);
  node(metrics);
  shards(metrics);
  await tiles(metrics);
  if (pulses % SLOW === 0) await sources();
  pulses += 1;
}

/** What was counted before a restart is no use. */
export function restarted() {
  readings = [];
  rates = [];
}

/** @param {Metrics} metrics */
async function tiles(metrics) {
  const [ready, ingest] = await Promise.all([health("readyz"), health("readyz/ingest")]);
  const failing = (metrics.get("paystream_webhooks_failing_seconds") ?? []).filter(({ value }) => value > 0).length;
  const streams = valueOf(metrics, "paystream_streams_open") ?? 0;
  const quarantined = valueOf(metrics, "paystream_events_total", { outcome: "quarantined" }) ?? 0;
  const waiting = valueOf(metrics, "paystream_parts_waiting") ?? 0;
  const shown = [
    ["Node", ready.ok ? "Ready" : "Not ready", ready.detail, ready.ok ? "good" : "bad"],
    ["Webhooks", ingest.ok ? "Taken" : ingest.detail ? "Not taken" : "On other nodes", ingest.detail, ingest.ok ? "good" : ingest.detail ? "bad" : "quiet"],
    ["Sources", failing ? `${failing} failing` : "No failures", "", failing ? "bad" : "good"],
    ["Streams open", streams.toLocaleString(), "", "quiet"],
    ["Quarantined", quarantined.toLocaleString(), "", quarantined ? "asking" : "quiet"],
    ["Parts waiting", waiting.toLocaleString(), "", waiting ? "asking" : "quiet"],
  ];
  const text = JSON.stringify(shown);
  if (element("tiles").dataset.text === text) return;
  element("tiles").dataset.text = text;
  element("tiles").replaceChildren(
    ...shown.map(([name = "", value = "", detail = "", tone = ""]) => {
      const tile = make("div", "card tile");
      tile.dataset.tone = tone;
      tile.append(make("dt", "", name), make("dd", "toned", value));
      if (detail) tile.append(make("dd", "quiet", detail));
      return tile;
    }),
  );
}

/** @param {Metrics} metrics */
function rate(metrics) {
  const now = { at: performance.now(), webhooks: valueOf(metrics, "paystream_webhooks_total") ?? 0 };
  const last = readings.at(-1);
  // Two looks that are close together say nothing about a rate.
  if (last && now.at - last.at < 500) return;
  readings = [...readings, now].slice(-READINGS);
  if (last) rates = [...rates, Math.max(0, ((now.webhooks - last.webhooks) * 1_000) / (now.at - last.at))].slice(-READINGS);
  const [first = now] = readings;
  const mean = now.at > first.at ? ((now.webhooks - first.webhooks) * 1_000) / (now.at - first.at) : 0;
  const words = (/** @type {number} */ number) => number.toLocaleString(undefined, { maximumFractionDigits: 1 });
  const text = `${words(rates.at(-1) ?? 0)} a second now, ${words(mean)} on average over the last two minutes, ${words(Math.max(...rates, 0))} at most.`;
  line(element("rate"), "Webhooks a second over the last two minutes", rates, READINGS);
  write(element("rate-text"), text);
}

/** @param {Metrics} metrics */
function latency(metrics) {
  const all = buckets(metrics, "paystream_receipt_to_write_seconds");
  const told = (/** @type {number} */ share) => brief(quantile(all, share) ?? 0);
  const count = all.reduce((sum, { count }) => sum + count, 0);
  columns(element("latency"), "Histogram of the times from receipt to write", all.map(({ to, count }) => ({ label: brief(to), value: count })));
  write(element("latency-text"), count ? `Half within ${told(0.5)}, 99 % within ${told(0.99)}, of ${counted(count, "write")}.` : "Nothing has been written to a stream yet.");
}

/** @param {Metrics} metrics */
function outcomes(metrics) {
  const found = new Map(sumsBy(metrics, "paystream_events_total", "outcome"));
  const known = OUTCOMES.filter((outcome) => found.get(outcome));
  bars(element("outcomes"), "Events by outcome", known.map((outcome) => ({ label: outcome, value: found.get(outcome) ?? 0, tone: toneOf(outcome) })));
  const reasons = sumsBy(metrics, "paystream_events_total", "reason").filter(([reason]) => reason).slice(0, 3);
  const text = reasons.map(([reason, count]) => `${reason} (${count.toLocaleString()})`).join(", ");
  write(element("outcomes-text"), known.length === 0 ? "No event has come yet." : text ? `The most frequent reasons: ${text}.` : "No event was refused.");
}

/** @typedef {{ source: string, provider: string, realm: string, retries: { lost_after_s: number | null, disabled_after_s: number | null, blocks: boolean }, failing: null | { since: string, share: number, lost_in_s: number | null, disabled_in_s: number | null, queue_blocked: boolean } }} Source */

async function sources() {
  /** @type {{ sources: Source[] }} */
  const { sources } = await read("admin/sources").catch((error) => {
    if (error.reason === "other_role") return { sources: [] };
    throw error;
  });
  element("sources-scroll").hidden = sources.length === 0;
  write(element("sources-text"), sources.length === 0 ? "This node takes no webhooks." : "");
  fill(element("sources"), sources, (source) => JSON.stringify(source), ({ source, provider, realm, retries, failing }) => {
    const window = (/** @type {number | null} */ after, /** @type {number | null | undefined} */ left) =>
      after === null ? "not known" : failing && left != null ? `in ${span(left)}` : `after ${span(after)} of failures`;
    const share = failing ? `${Math.round(failing.share * 100)} % fail` : "no failures";
    return [
      { text: source, href: address("deliveries", { source }) },
      { text: provider, className: "wide" },
      { text: realm, className: "wide" },
      { text: share, tone: failing ? "bad" : "good" },
      { text: window(retries.lost_after_s, failing?.lost_in_s), ...(failing && { tone: "bad" }) },
      { text: window(retries.disabled_after_s, failing?.disabled_in_s), ...(failing && { tone: "bad" }) },
      { text: failing?.queue_blocked ? "held back by the failure" : retries.blocks ? "wait for a failed one" : "not held back", className: "wide" },
    ];
  });
}

/** @param {Metrics} metrics */
function node(metrics) {
  const one = (/** @type {string} */ name) => valueOf(metrics, name);
  const build = metrics.get("paystream_build_info")?.[0]?.labels ?? {};
  const started = one("process_start_time_seconds");
  const cpu = one("process_cpu_seconds_total");
  const connections = (metrics.get("paystream_connections_open") ?? []).map(({ labels, value }) => `${labels.listener} ${value.toLocaleString()}`);
  facts(element("node"), [
    ["Address", location.host],
    ["Version", build.version ?? ""],
    ["Up for", started ? span(Date.now() / 1_000 - started) : ""],
    ["Memory", size(one("process_resident_memory_bytes") ?? 0)],
    ["Processor time", cpu === undefined ? "" : span(cpu)],
    ["Connections", connections.join(", ")],
    ["Open files", `${(one("process_open_fds") ?? 0).toLocaleString()} of ${(one("process_max_fds") ?? 0).toLocaleString()}`],
    ["Disk", one("paystream_disk_size_bytes") ? `${size(one("paystream_disk_free_bytes") ?? 0)} free of ${size(one("paystream_disk_size_bytes") ?? 0)}` : ""],
  ]);
}

/** @param {Metrics} metrics */
function shards(metrics) {
  const up = metrics.get("paystream_store_server_up") ?? [];
  const ready = valueOf(metrics, "paystream_store_ready");
  element("shards-table").hidden = up.length === 0;
  const kind = up.length === 0 ? "An embedded store in this node's own folder" : `Redis, on ${counted(up.length, "server")}`;
  write(element("shards-text"), `${kind}; ${ready === 0 ? "it does not do what this node needs" : "it is fit for use"}.`);
  const rows = up.map(({ labels, value }) => {
    const of = (/** @type {string} */ name) => valueOf(metrics, name, { server: labels.server ?? "" }) ?? 0;
    return { server: labels.server ?? "", isUp: value > 0, writes: of("paystream_store_server_writes_total"), queue: of("paystream_store_server_queue") };
  });
  fill(element("shards"), rows, (row) => JSON.stringify(row), ({ server, isUp, writes, queue }) => [
    { text: server },
    { text: isUp ? "up" : "down", tone: isUp ? "good" : "bad" },
    { text: writes.toLocaleString(), className: "number" },
    { text: queue.toLocaleString(), className: "number" },
  ]);
}
