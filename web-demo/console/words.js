/** The console's words for outcomes, times and sizes. Knows no page. */

/** @typedef {import("../payments/words.js").Tone} Tone */

/** @type {Record<string, Tone>} */
const TONES = { accepted: "good", duplicate: "quiet", ignored: "quiet", waiting: "waiting", quarantined: "asking", rejected: "bad", deferred: "bad" };

/** Every outcome, in the order of the filters. */
export const OUTCOMES = Object.keys(TONES);

/** @param {string} outcome */
export function toneOf(outcome) {
  return TONES[outcome] ?? "quiet";
}

/** A length of time in one or two units: `1 h 20 min`. @param {number} seconds */
export function span(seconds) {
  /** @type {[string, number][]} */
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [unit, size] = /** @type {[string, number]} */ (units[first]);
  const [smaller, smallerSize] = units[first + 1] ?? ["", 1];
  const rest = smaller ? Math.floor((seconds % size) / smallerSize) : 0;
  return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${smaller}` : ""}`;
}

/** A short time: `0.4 ms`, `12 ms`, `1.5 s`. @param {number} seconds */
export function brief(seconds) {
  if (!Number.isFinite(seconds)) return "longer";
  if (seconds < 1) return `${Number((seconds * 1_000).toPrecision(2))} ms`;
  return `${Number(seconds.toPrecision(2))} s`;
}

/** @param {number} bytes */
export function size(bytes) {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), 4);
  return `${Number((bytes / 2 ** (10 * power)).toPrecision(3))} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}
