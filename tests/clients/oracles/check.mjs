// The providers' own libraries look at what `sign.py` signed: each must accept it, and refuse it once a byte of what it signs has
// changed. Those that can sign must sign alike. And what only an adapter can verify is signed here by the provider's library, to be
// compared with what the gateway's tests hold.
//
//     node tests/clients/oracles/check.mjs

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import assert from "node:assert/strict";

import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import Stripe from "stripe";
import { WebhooksHelper } from "square";
import { Paddle, WebhooksValidator } from "@paddle/paddle-node-sdk";
import { verify as verifyPrefixed } from "@octokit/webhooks-methods";
import { SignatureValidator } from "mollie-api-typescript";

const require = createRequire(import.meta.url);
const Adyen = require("@adyen/api-library");
const { Cashfree, CFEnvironment } = require("cashfree-pg");
const CoinbaseCommerce = require("coinbase-commerce-node");
const GoCardless = require("gocardless-nodejs/webhooks");
const MercadoPago = require("mercadopago");
const { OpenNodeClient } = require("opennode");
const Razorpay = require("razorpay");
const braintree = require("braintree");

const root = new URL("../../../", import.meta.url);
const vectors = JSON.parse(await readFile(new URL("src/source/fixtures/signed.json", root), "utf8"));

/** What a library says of a vector: true, or false, or it throws where it refuses. */
const libraries = {
  stripe: ({ secret, headers, body, at_s: at }) => {
    const stripe = new Stripe("sk_test_x");
    const header = headers["stripe-signature"];
    assert.equal(stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: at }), header);
    return stripe.webhooks.signature.verifyHeader(body, header, secret, 1e9);
  },
  "standard-webhooks": ({ secret, headers, body, at_s: at, id }) => {
    const signature = new StandardWebhook(secret).sign(id, new Date(at * 1000), body);
    return signature === headers["webhook-signature"];
  },
  svix: ({ secret, headers, body, at_s: at, id }) => {
    return new SvixWebhook(secret).sign(id, new Date(at * 1000), body) === headers["svix-signature"];
  },
  "adyen-platform": ({ secret, headers, body }) => {
    return new Adyen.hmacValidator().validateHMACSignature(secret, headers.hmacsignature, body);
  },
  square: ({ secret, headers, body, options }) =>
    WebhooksHelper.verifySignature({
      requestBody: body,
      signatureHeader: headers["x-square-hmacsha256-signature"],
      signatureKey: secret,
      notificationUrl: options.notification_url,
    }),
  paddle: ({ secret, headers, body }) => {
    // It allows five seconds.
    WebhooksValidator.MAX_VALID_TIME_DIFFERENCE = 1e9;
    return new Paddle("key").webhooks.isSignatureValid(body, secret, headers["paddle-signature"]);
  },
  razorpay: ({ secret, headers, body }) =>
    Razorpay.validateWebhookSignature(body, headers["x-razorpay-signature"], secret),
  "coinbase-commerce": ({ secret, headers, body }) => {
    CoinbaseCommerce.Webhook.verifySigHeader(body, headers["x-cc-webhook-signature"], secret);
    return true;
  },
  mollie: async ({ secret, headers, body }) => {
    assert.equal(`sha256=${await SignatureValidator.createSignature(body, secret)}`, headers["x-mollie-signature"]);
    return SignatureValidator.validate(body, secret, headers["x-mollie-signature"]);
  },
  gocardless: ({ secret, headers, body }) => {
    GoCardless.parse(body, secret, headers["webhook-signature"]);
    return true;
  },
  "mercado-pago": ({ secret, headers, id }) => {
    MercadoPago.WebhookSignatureValidator.validate({
      xSignature: headers["x-signature"],
      xRequestId: headers["x-request-id"],
      dataId: id,
      secret,
    });
    return true;
  },
  cashfree: ({ secret, headers, body }) => {
    const cashfree = new Cashfree(CFEnvironment.SANDBOX, "id", secret);
    cashfree.PGVerifyWebhookSignature(headers["x-webhook-signature"], body, headers["x-webhook-timestamp"]);
    return true;
  },
  // Not BTCPay's own, which is in C#: one for the form that it took from others.
  btcpay: ({ secret, headers, body }) => verifyPrefixed(secret, body, headers["btcpay-sig"]),
};

const verdict = async (check, vector) => {
  try {
    return (await check(vector)) !== false;
  } catch {
    return false;
  }
};

const agreed = [];
for (const [preset, check] of Object.entries(libraries)) {
  const vector = vectors.find((candidate) => candidate.preset === preset);
  assert.equal(await verdict(check, vector), true, `${preset} is refused by its provider's library`);
  const other = preset === "mercado-pago" ? { ...vector, id: "msg-2" } : { ...vector, body: `${vector.body} ` };
  assert.equal(await verdict(check, other), false, `${preset}, tampered with, is accepted`);
  agreed.push(preset);
}

const fixture = async (name) => readFile(new URL(`src/source/fixtures/adapters/${name}`, root), "utf8");

// --- Adyen: the published item.
const adyen = JSON.parse(await fixture("adyen.json"));
const item = adyen.notificationItems[0].NotificationRequestItem;
const ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
assert.equal(new Adyen.hmacValidator().calculateHmac(item, ADYEN_KEY), item.additionalData.hmacSignature);
assert.ok(new Adyen.hmacValidator().validateHMAC(item, ADYEN_KEY));
agreed.push("adyen");

// --- Braintree: a sample that its library made.
const gateway = new braintree.BraintreeGateway({
  environment: braintree.Environment.Sandbox,
  merchantId: "merchant",
  publicKey: "public1",
  privateKey: "private-key-5f0c",
});
const form = new URLSearchParams((await fixture("braintree.txt")).trim());
const notification = await gateway.webhookNotification.parse(form.get("bt_signature"), form.get("bt_payload"));
assert.equal(notification.kind, "dispute_opened");
const challenge = "20f9f8ed05f77439fe955c977e4c8a53";
assert.equal(await gateway.webhookNotification.verify(challenge), (await fixture("braintree-answer.txt")).trim());
agreed.push("braintree");

// --- OpenNode.
const charge = Object.fromEntries(new URLSearchParams((await fixture("opennode.txt")).trim()));
assert.ok(new OpenNodeClient("8f3b1c2d9a7e55aa").verifySignature(charge));
assert.ok(!new OpenNodeClient("8f3b1c2d9a7e55aa").verifySignature({ ...charge, id: "other" }));
agreed.push("opennode");

console.log(`ok: ${agreed.length} presets are signed as their providers' libraries want it: ${agreed.join(", ")}`);
