// The webhooks of orders as Stripe sends them: whole objects of the shapes that Stripe's library has as types, signed by that library, and
// checked by it before anybody else sees them. Writes a line of JSON for each order:
//
//     node tests/clients/oracles/order.mjs SECRET FIRST COUNT
//
// An order is paid through Checkout at the second attempt: the first one asks for 3-D Secure and is declined. It is then refunded in
// part, disputed, and the dispute is won. The shop writes its order number into the metadata of the payment intent; Stripe copies
// these to its charges and neither to refunds nor to disputes.

import assert from "node:assert/strict";
import Stripe from "stripe";

/** @typedef {{ number: string, session: string, payment: string, charge: string, dispute: string }} Ids */
/** @typedef {Stripe.Event extends infer E ? E extends Stripe.Event ? Pick<E, "type" | "data"> : never : never} Webhook */

const stripe = new Stripe("sk_test_x");
const AMOUNT = 10_000;
const REFUNDED = 2_500;
const CREATED = 1_790_000_000;
const METHOD = "pm_1PqJt2KZvKYlo2C1";

/** @returns {Stripe.PaymentIntent} */
const intent = (/** @type {Ids} */ ids, /** @type {Partial<Stripe.PaymentIntent>} */ changes) => ({
  id: ids.payment,
  object: "payment_intent",
  allowed_payment_method_types: null,
  amount: AMOUNT,
  amount_capturable: 0,
  amount_details: { tip: {} },
  amount_received: 0,
  application: null,
  application_fee_amount: null,
  automatic_payment_methods: { allow_redirects: "always", enabled: true },
  canceled_at: null,
  cancellation_reason: null,
  capture_method: "automatic_async",
  client_secret: `${ids.payment}_secret_0xBq`,
  confirmation_method: "automatic",
  created: CREATED,
  currency: "eur",
  customer: "cus_Qk3Zy1",
  customer_account: null,
  description: "Two chairs",
  excluded_payment_method_types: null,
  last_payment_error: null,
  latest_charge: null,
  livemode: false,
  managed_payments: null,
  metadata: { order_id: ids.number },
  next_action: null,
  on_behalf_of: null,
  payment_method: null,
  payment_method_configuration_details: null,
  payment_method_options: {},
  payment_method_types: ["card"],
  payment_record: null,
  processing: null,
  receipt_email: null,
  review: null,
  setup_future_usage: null,
  shipping: null,
  source: null,
  statement_descriptor: null,
  statement_descriptor_suffix: null,
  status: "requires_payment_method",
  transfer_group: null,
  ...changes,
});

/** @type {Stripe.Charge.PaymentMethodDetails.Card} */
const card = {
  amount_authorized: AMOUNT,
  authorization_code: "123456",
  brand: "visa",
  checks: { address_line1_check: null, address_postal_code_check: "pass", cvc_check: "pass" },
  country: "DE",
  electronic_commerce_indicator: null,
  exp_month: 12,
  exp_year: 2030,
  fingerprint: "Xt5EWLLDS7FJjR1c",
  funding: "credit",
  installments: null,
  last4: "4242",
  mandate: null,
  network: "visa",
  network_transaction_id: null,
  regulated_status: "unregulated",
  three_d_secure: null,
  transaction_link_id: null,
  wallet: null,
};

/** @type {Stripe.Address} */
const address = { city: "Berlin", country: "DE", line1: "Elm Street 1", line2: null, postal_code: "10115", state: null };

/** @returns {Stripe.Charge} */
const charge = (/** @type {Ids} */ ids, /** @type {Partial<Stripe.Charge>} */ changes) => ({
  id: ids.charge,
  object: "charge",
  amount: AMOUNT,
  amount_captured: AMOUNT,
  amount_refunded: 0,
  application: null,
  application_fee: null,
  application_fee_amount: null,
  balance_transaction: "txn_3PqJt2",
  billing_details: { address, email: "ada@example.com", name: "Ada L", phone: null, tax_id: null },
  calculated_statement_descriptor: "SHOP.EXAMPLE",
  captured: true,
  created: CREATED,
  currency: "eur",
  customer: "cus_Qk3Zy1",
  description: "Two chairs",
  disputed: false,
  failure_balance_transaction: null,
  failure_code: null,
  failure_message: null,
  fraud_details: {},
  livemode: false,
  metadata: { order_id: ids.number },
  on_behalf_of: null,
  outcome: {
    advice_code: null,
    network_advice_code: null,
    network_decline_code: null,
    network_status: "approved_by_network",
    reason: null,
    risk_level: "normal",
    risk_score: 12,
    seller_message: "Payment complete.",
    type: "authorized",
  },
  paid: true,
  payment_intent: ids.payment,
  payment_method: METHOD,
  payment_method_details: { card, type: "card" },
  receipt_email: null,
  receipt_number: null,
  receipt_url: "https://pay.stripe.com/receipts/x",
  refunded: false,
  review: null,
  shipping: null,
  source: null,
  source_transfer: null,
  statement_descriptor: null,
  statement_descriptor_suffix: null,
  status: "succeeded",
  transfer_data: null,
  transfer_group: null,
  ...changes,
});

/** @returns {Stripe.Checkout.Session} */
const session = (/** @type {Ids} */ ids) => ({
  id: ids.session,
  object: "checkout.session",
  adaptive_pricing: { enabled: false },
  after_expiration: null,
  allow_promotion_codes: null,
  allowed_payment_method_types: null,
  amount_subtotal: AMOUNT,
  amount_total: AMOUNT,
  automatic_tax: { enabled: false, liability: null, provider: null, status: null },
  billing_address_collection: null,
  cancel_url: "https://shop.example/cart",
  client_reference_id: null,
  client_secret: null,
  collected_information: null,
  consent: null,
  consent_collection: null,
  created: CREATED,
  currency: "eur",
  currency_conversion: null,
  custom_fields: [],
  custom_text: { after_submit: null, shipping_address: null, submit: null, terms_of_service_acceptance: null },
  customer: "cus_Qk3Zy1",
  customer_account: null,
  customer_creation: "always",
  customer_details: {
    address,
    business_name: null,
    email: "ada@example.com",
    individual_name: null,
    name: "Ada L",
    phone: null,
    tax_exempt: "none",
    tax_ids: [],
  },
  customer_email: null,
  discounts: [],
  expires_at: CREATED + 86_400,
  integration_identifier: null,
  invoice: null,
  invoice_creation: null,
  livemode: false,
  locale: null,
  managed_payments: null,
  metadata: { order_id: ids.number },
  mode: "payment",
  origin_context: null,
  payment_intent: ids.payment,
  payment_link: null,
  payment_method_collection: "if_required",
  payment_method_configuration_details: null,
  payment_method_options: {},
  payment_method_types: ["card"],
  payment_status: "paid",
  permissions: null,
  recovered_from: null,
  saved_payment_method_options: null,
  setup_intent: null,
  shipping_address_collection: null,
  shipping_cost: null,
  shipping_options: [],
  status: "complete",
  submit_type: null,
  subscription: null,
  success_url: "https://shop.example/thanks?session_id={CHECKOUT_SESSION_ID}",
  total_details: { amount_discount: 0, amount_shipping: 0, amount_tax: 0 },
  ui_mode: "hosted_page",
  url: null,
  wallet_options: null,
});

/** @type {Stripe.Dispute.Evidence} */
const evidence = {
  access_activity_log: null,
  billing_address: null,
  cancellation_policy: null,
  cancellation_policy_disclosure: null,
  cancellation_rebuttal: null,
  customer_communication: null,
  customer_email_address: "ada@example.com",
  customer_name: "Ada L",
  customer_purchase_ip: null,
  customer_signature: null,
  duplicate_charge_documentation: null,
  duplicate_charge_explanation: null,
  duplicate_charge_id: null,
  enhanced_evidence: {},
  product_description: null,
  receipt: null,
  refund_policy: null,
  refund_policy_disclosure: null,
  refund_refusal_explanation: null,
  service_date: null,
  service_documentation: null,
  shipping_address: null,
  shipping_carrier: null,
  shipping_date: null,
  shipping_documentation: null,
  shipping_tracking_number: null,
  uncategorized_file: null,
  uncategorized_text: null,
};

/** @returns {Stripe.Dispute} */
const dispute = (/** @type {Ids} */ ids, /** @type {Stripe.Dispute.Status} */ status) => ({
  id: ids.dispute,
  object: "dispute",
  amount: AMOUNT - REFUNDED,
  balance_transactions: [],
  charge: ids.charge,
  created: CREATED,
  currency: "eur",
  enhanced_eligibility_types: [],
  evidence,
  evidence_details: {
    due_by: CREATED + 604_800,
    enhanced_eligibility: {},
    has_evidence: status === "won",
    past_due: false,
    submission_count: status === "won" ? 1 : 0,
    submission_method: status === "won" ? "manual" : "not_submitted",
  },
  intended_submission_method: null,
  is_charge_refundable: false,
  livemode: false,
  metadata: {},
  payment_intent: ids.payment,
  reason: "product_not_received",
  status,
});

/**
 * The types and objects of an order's webhooks, in the order in which things happen.
 *
 * @returns {Webhook[]}
 */
const webhooks = (/** @type {Ids} */ ids) => {
  const failed = `${ids.charge}_failed`;
  const paid = { amount_received: AMOUNT, latest_charge: ids.charge, payment_method: METHOD };
  return [
    { type: "payment_intent.created", data: { object: intent(ids, {}) } },
    {
      type: "payment_intent.requires_action",
      data: {
        object: intent(ids, {
          next_action: { type: "use_stripe_sdk", use_stripe_sdk: {} },
          payment_method: METHOD,
          status: "requires_action",
        }),
      },
    },
    {
      type: "charge.failed",
      data: {
        object: charge(ids, {
          id: failed,
          amount_captured: 0,
          balance_transaction: null,
          captured: false,
          failure_code: "card_declined",
          failure_message: "Your card has insufficient funds.",
          paid: false,
          receipt_url: null,
          status: "failed",
        }),
      },
    },
    {
      type: "payment_intent.payment_failed",
      data: {
        object: intent(ids, {
          last_payment_error: {
            charge: failed,
            code: "card_declined",
            decline_code: "insufficient_funds",
            doc_url: "https://stripe.com/docs/error-codes/card-declined",
            message: "Your card has insufficient funds.",
            type: "card_error",
          },
          latest_charge: failed,
        }),
      },
    },
    { type: "charge.succeeded", data: { object: charge(ids, {}) } },
    { type: "payment_intent.succeeded", data: { object: intent(ids, { ...paid, status: "succeeded" }) } },
    { type: "checkout.session.completed", data: { object: session(ids) } },
    {
      type: "charge.refunded",
      data: { object: charge(ids, { amount_refunded: REFUNDED }), previous_attributes: { amount_refunded: 0 } },
    },
    { type: "charge.dispute.created", data: { object: dispute(ids, "needs_response") } },
    { type: "charge.dispute.closed", data: { object: dispute(ids, "won") } },
  ];
};

/** @returns {Stripe.Event} */
const event = (/** @type {Ids} */ ids, /** @type {Webhook} */ webhook, /** @type {number} */ step) =>
  /** @type {Stripe.Event} */ ({
    id: `evt_${ids.payment}_${step}`,
    object: "event",
    api_version: Stripe.API_VERSION,
    created: CREATED + step,
    livemode: false,
    pending_webhooks: 1,
    request: { id: "req_8f3b1c2dQw", idempotency_key: "5c1f7a3e-8b0e-4c3e-9d35-0b0f6d1f5a11" },
    ...webhook,
  });

const [secret, first, count] = process.argv.slice(2);
assert(secret && first && count, "usage: order.mjs SECRET FIRST COUNT");
for (let number = Number(first); number < Number(first) + Number(count); number++) {
  const ids = {
    number: `order-${number}`,
    session: `cs_test_${number}`,
    payment: `pi_${number}`,
    charge: `ch_${number}`,
    dispute: `dp_${number}`,
  };
  const signed = webhooks(ids).map((webhook, step) => {
    const payload = JSON.stringify(event(ids, webhook, step + 1));
    const signature = stripe.webhooks.generateTestHeaderString({ payload, secret });
    assert.equal(stripe.webhooks.constructEvent(payload, signature, secret).type, webhook.type);
    return { signature, body: payload };
  });
  process.stdout.write(`${JSON.stringify({ ...ids, webhooks: signed })}\n`);
}
