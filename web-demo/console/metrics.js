/** Reads what `/metrics` says, in OpenMetrics. Knows no page. */

/** @typedef {{ labels: Record<string, string>, value: number }} Sample */
/** @typedef {Map<string, Sample[]>} Metrics */

/** @param {string} text @returns {Metrics} */
export function parse(text) {
  /** @type {Metrics} */
  const metrics = new Map();
  for (const line of text.split("\n")) {
    const [, name = "", pairs = "", value = ""] = /^(\w+)(?:\{(.*?)\})? (\S+)/.exec(line) ?? [];
    if (!name) continue;
    const labels = Object.fromEntries([...pairs.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = "", text = ""]) => [key, text.replace(/\\(.)/g, "$1")]));
    metrics.set(name, [...(metrics.get(name) ?? []), { labels, value: Number(value) }]);
  }
  return metrics;
}

/** The sum of the samples whose labels are these. @param {Metrics} metrics @param {string} name @param {Record<string, string>} [labels] */
export function valueOf(metrics, name, labels = {}) {
  const samples = metrics.get(name)?.filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value));
  return samples?.reduce((sum, { value }) => sum + value, 0);
}

/** The sums of a metric by one of its labels, the greatest first. @param {Metrics} metrics @param {string} name @param {string} label */
export function sumsBy(metrics, name, label) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const { labels, value } of metrics.get(name) ?? []) sums.set(labels[label] ?? "", (sums.get(labels[label] ?? "") ?? 0) + value);
  return [...sums].sort(([, one], [, other]) => other - one);
}

/**
 * The buckets of a histogram, by their upper bounds: how many values lie in each.
 *
 * @param {Metrics} metrics
 * @param {string} name
 * @returns {{ to: number, count: number }[]} seconds, the last one Infinity
 */
export function buckets(metrics, name) {
  const samples = metrics.get(`${name}_bucket`) ?? [];
  const cumulated = samples.map(({ labels, value }) => ({ to: labels.le === "+Inf" ? Infinity : Number(labels.le), value }));
  cumulated.sort((one, other) => one.to - other.to);
  return cumulated.map(({ to, value }, index) => ({ to, count: value - (cumulated[index - 1]?.value ?? 0) }));
}

/** The upper bound of the bucket in which this share of all values is reached; `undefined` without values. @param {{ to: number, count: number }[]} buckets @param {number} share */
export function quantile(buckets, share) {
  const all = buckets.reduce((sum, { count }) => sum + count, 0);
  let seen = 0;
  return all === 0 ? undefined : buckets.find(({ count }) => (seen += count) >= all * share)?.to;
}
