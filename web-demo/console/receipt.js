/** The receipt of a payment: the way from its webhooks to the pages that watched it. Knows its part of the page. */

import { moment } from "../format.js";
import { Refused } from "../payments/gateway.js";
import { element, make, write } from "../payments/page.js";
import { sentence } from "../payments/words.js";
import { read } from "./api.js";
import { fill } from "./table.js";
import { counted } from "./words.js";

/**
 * @typedef {{ at: string, what: string } & Record<string, unknown>} Moment
 * @typedef {object} Stream
 * @property {string} stream
 * @property {string | null} opened_at
 * @property {string | null} closed_at
 * @property {boolean} open
 * @property {number} resumed
 * @property {string | null} reason
 * @property {{ seq: number }[]} written
 * @property {{ seq: number }[]} shown
 * @typedef {{ timeline: Moment[], streams: Stream[], sampled: boolean, left_out: number }} Receipt
 */

/** What is said of each kind of moment. An unknown one is shown as it stands. @type {Record<string, (moment: Moment) => string>} */
const WORDS = {
  received: ({ type, source, outcome, reason }) => `${type ?? "A delivery"} was received from ${source}: ${outcome}${reason ? `, ${reason}` : ""}`,
  verified: ({ key }) => `Its signature was verified${key ? ` with ${key}` : ""}`,
  appended: ({ seq, took_us: took }) => `It was stored as number ${seq}${typeof took === "number" ? `, after ${(took / 1_000).toLocaleString()} ms` : ""}`,
  heard: ({ seq, node }) => `Node ${node} heard of number ${seq}`,
  fanned_out: ({ seq, node, streams }) => `Node ${node} wrote number ${seq} to ${counted(Number(streams), "stream")}`,
  opened: ({ stream }) => `${stream} opened its stream`,
  resumed: ({ stream, seq }) => `${stream} came back after number ${seq}`,
  written: ({ stream, seq, as }) => `Number ${seq} was written to ${stream}${as === "snapshot" ? ", as a snapshot" : ""}`,
  shown: ({ stream, seq }) => `The page of ${stream} says that it showed number ${seq}`,
  closed: ({ stream, reason }) => `${stream} ended${reason ? `: ${sentence(String(reason)).toLowerCase()}` : ""}`,
};

/** The most moments that are shown. */
const MOST = 500;

/** Reads the receipt, and shows it if the gateway keeps one. @param {string} payment @param {string} realm @param {() => boolean} isWanted whether it still is */
export async function show(payment, realm, isWanted) {
  /** @type {Receipt | undefined} */
  const receipt = await read("admin/receipts", [["payment", payment], ["realm", realm]]).catch((error) => {
    if (!(error instanceof Refused)) throw error;
  });
  if (!isWanted()) return;
  element("receipt").hidden = !receipt;
  if (!receipt) return;
  const { timeline, streams, sampled, left_out: leftOut } = receipt;
  const words = streams.length === 0 ? "No page has watched this payment." : `${counted(streams.length, "stream")} watched this payment.`;
  write(element("receipt-text"), sampled ? `${words} There were more than are kept: at least ${counted(leftOut, "moment")} of others are missing.` : words);
  element("receipt-scroll").hidden = streams.length === 0;
  const last = (/** @type {{ seq: number }[]} */ seen) => (seen.length === 0 ? "–" : `up to ${Math.max(...seen.map(({ seq }) => seq))}`);
  fill(element("receipt-streams"), streams, (stream) => JSON.stringify(stream), (stream) => [
    { text: stream.stream, className: "code" },
    { text: stream.opened_at ? moment(stream.opened_at) : "" },
    { text: stream.open ? (stream.resumed ? `open, came back ${counted(stream.resumed, "time")}` : "open") : `ended${stream.reason ? `: ${stream.reason}` : ""}`, tone: stream.open ? "good" : "quiet" },
    { text: last(stream.written), className: "number" },
    { text: last(stream.shown), className: "number" },
  ]);
  const newest = timeline.slice(-MOST);
  fillMoments(newest);
}

/** @param {Moment[]} moments */
function fillMoments(moments) {
  const list = element("receipt-moments");
  const text = JSON.stringify(moments);
  if (list.dataset.text === text) return;
  list.dataset.text = text;
  list.replaceChildren(
    ...moments.map((one) => {
      const item = make("li");
      const time = make("time", "", `${moment(one.at)} ${one.at.slice(19, 23)}`);
      time.setAttribute("datetime", one.at);
      item.append(time, make("span", "", WORDS[one.what]?.(one) ?? sentence(one.what)));
      return item;
    }),
  );
}

export function hide() {
  element("receipt").hidden = true;
}
