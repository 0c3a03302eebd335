/** Follows a payment with the package, in whatever runtime, and prints each state as a line of JSON: follow.mjs GATEWAY PAYMENT TOKEN */

import { argv, exit } from "node:process";
import { money, watchPayment } from "@paystream/client";

const [url = "", payment = "", token = ""] = argv.slice(2);
const say = (/** @type {object} */ line) => console.log(JSON.stringify(line));
const watch = watchPayment({ url, payment, token, until: "finished", onConnection: (connection) => say({ connection }), onEvent: ({ id }) => say({ event: id }) });
for await (const { status, amount, currency, exponent } of watch) say({ status, price: money(amount, currency, exponent, "en") });
say({ ended: watch.connection });
// A runtime ends by itself once nothing is left; one that does not would hang here.
setTimeout(() => exit(3), 10_000).unref();
