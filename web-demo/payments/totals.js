/** How many payments there are of each currency and status, and how much money. Pure: each change costs the same, however many there are. */

/**
 * @typedef {object} Sum
 * @property {number} count
 * @property {number} amount in minor units. Exact up to 2^53, which is ninety million million euros
 *
 * @typedef {object} Group The payments of one currency.
 * @property {string | null} currency `null` if no event has told an amount
 * @property {number | null} exponent
 * @property {number} count
 * @property {number} captured in minor units
 * @property {number} refunded in minor units
 * @property {Map<string, Sum>} byStatus
 *
 * @typedef {{ status: string, provider: string, amount: number | null, currency: string | null, exponent: number | null,
 *   captured: number, refunded: number }} Counted
 */

export class Totals {
  /** @type {Map<string, Group>} */
  byCurrency = new Map();
  /** The payments of each provider. @type {Map<string, number>} */
  byProvider = new Map();

  /** @param {Counted} payment */
  add(payment) {
    this.#count(payment, 1);
  }

  /** Takes back what `add` did. @param {Counted} payment */
  subtract(payment) {
    this.#count(payment, -1);
  }

  /** @param {Counted} payment @param {1 | -1} sign */
  #count({ status, provider, amount, currency, exponent, captured, refunded }, sign) {
    const ofProvider = (this.byProvider.get(provider) ?? 0) + sign;
    keep(this.byProvider, provider, ofProvider, ofProvider > 0);

    // Two assets of one name may count in different units.
    const key = `${currency ?? ""}/${exponent ?? ""}`;
    const group = this.byCurrency.get(key) ?? { currency, exponent, count: 0, captured: 0, refunded: 0, byStatus: new Map() };
    group.count += sign;
    group.captured += sign * captured;
    group.refunded += sign * refunded;
    const sum = group.byStatus.get(status) ?? { count: 0, amount: 0 };
    sum.count += sign;
    sum.amount += sign * (amount ?? 0);
    keep(group.byStatus, status, sum, sum.count > 0);
    keep(this.byCurrency, key, group, group.count > 0);
  }
}

/** @template T @param {Map<string, T>} map @param {string} key @param {T} value @param {boolean} isUsed */
function keep(map, key, value, isUsed) {
  if (isUsed) map.set(key, value);
  else map.delete(key);
}
