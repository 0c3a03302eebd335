"""The providers' own libraries for Python look at what `sign.py` signed: each must accept it, and refuse it once any byte that it
looks at has changed, or by another key. Those that can sign must sign alike.

    python tests/clients/oracles/check.py

What only a private key can sign is in `signed-by-keys.json`: the libraries (or, where the provider has none, one for the form that it
took from others) check that too, and the gateway's unit tests check all of it. With `--write` it is signed anew, by new keys which
are not kept.
"""

import base64
import hashlib
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from unittest.mock import patch
from urllib.parse import unquote_plus

import braintree
import jwt
import standardwebhooks.webhooks
import stripe
from Adyen import util as adyen
from cashfree_pg.api_client import Cashfree
from coinbase_commerce.webhook import WebhookSignature as CoinbaseCommerce
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from gocardless_pro import webhooks as gocardless
from mercadopago.webhook.validator import WebhookSignatureValidator as MercadoPago
from mollie.utils.webhooks.signature_validator import SignatureValidator as Mollie
from paddle_billing.Notifications.PaddleSignature import PaddleSignature
from paddle_billing.Notifications.Secret import Secret
from paypalrestsdk.notifications import WebhookEvent
from razorpay import Client as Razorpay
from square.utils.webhooks_helper import verify_signature as square
from standardwebhooks import Webhook
from svix.webhooks import Webhook as SvixWebhook

import sign

FIXTURES = Path(__file__).parents[3] / "src/source/fixtures"
BY_KEYS = FIXTURES / "signed-by-keys.json"


class Frozen(datetime):
    """The moment at which everything was signed."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(sign.AT, tz)


def signs_alike(ours, theirs):
    assert ours == theirs, f"the library signs {theirs}"


def standard(library, name, vector):
    theirs = library(vector["secret"]).sign(vector["id"], Frozen.now(timezone.utc), vector["body"])
    signature = vector["headers"][f"{name}-signature"]
    with patch.object(standardwebhooks.webhooks, "datetime", Frozen):
        library(vector["secret"]).verify(vector["body"], vector["headers"])
    signs_alike(signature, theirs)


def by_stripe(vector):
    header, body, secret = vector["headers"]["stripe-signature"], vector["body"], vector["secret"]
    stripe.WebhookSignature.verify_header(body, header, secret, tolerance=None)
    time = header.split(",")[0].removeprefix("t=")
    theirs = stripe.WebhookSignature._compute_signature(f"{time}.{body}", secret)
    signs_alike(header, f"t={time},v1={theirs}")


def by_adyen(vector):
    signature, key, body = vector["headers"]["hmacsignature"], vector["secret"], vector["body"].encode()
    assert adyen.is_valid_hmac_payload(signature, key, body)
    signs_alike(signature, adyen.generate_payload_sig(body, key).decode())


def by_paddle(vector):
    header, body, secret = vector["headers"]["paddle-signature"], vector["body"], vector["secret"]
    assert PaddleSignature().verify(header, body, Secret(secret))
    time = header.split(";")[0].removeprefix("ts=")
    theirs = PaddleSignature.calculate_hmac(secret, f"{time}:{body}".encode()).hexdigest()
    signs_alike(header, f"ts={time};h1={theirs}")


def by_coinbase(vector):
    signature, body, secret = vector["headers"]["x-cc-webhook-signature"], vector["body"], vector["secret"]
    CoinbaseCommerce.verify_sig_header(body, signature, secret)
    signs_alike(signature, CoinbaseCommerce._compute_signature(body, secret))


def by_mollie(vector):
    header, body, secret = vector["headers"]["x-mollie-signature"], vector["body"], vector["secret"]
    assert Mollie.validate(body, secret, header)
    signs_alike(header, "sha256=" + Mollie.create_signature(body, secret))


def by_mercado_pago(vector):
    headers, secret = vector["headers"], vector["secret"]
    data_id = vector["query"].removeprefix("data.id=")
    MercadoPago.validate(headers["x-signature"], headers["x-request-id"], data_id, secret)


def by_cashfree(vector):
    headers = vector["headers"]
    library = Cashfree(Cashfree.SANDBOX, "id", vector["secret"])
    library.PGVerifyWebhookSignature(headers["x-webhook-signature"], vector["body"], headers["x-webhook-timestamp"])


def by_square(vector):
    assert square(
        request_body=vector["body"],
        signature_header=vector["headers"]["x-square-hmacsha256-signature"],
        signature_key=vector["secret"],
        notification_url=vector["options"]["notification_url"],
    )


def by_gocardless(vector):
    # `parse` does this first, and then wants a body with events in it.
    gocardless._verify_signature(vector["body"], vector["secret"], vector["headers"]["webhook-signature"])


def by_razorpay(vector):
    utility = Razorpay(auth=("id", "secret")).utility
    utility.verify_webhook_signature(vector["body"], vector["headers"]["x-razorpay-signature"], vector["secret"])


def by_paypal(vector):
    headers = vector["headers"]
    message = WebhookEvent._get_expected_sig(
        headers["paypal-transmission-id"],
        headers["paypal-transmission-time"],
        vector["options"]["webhook_id"],
        vector["body"],
    )
    key = x509.load_pem_x509_certificate(vector["secret"].encode()).public_key()
    key.verify(decoded(headers["paypal-transmission-sig"]), message.encode(), padding.PKCS1v15(), hashes.SHA256())


def by_plaid(vector):
    key = jwt.PyJWK.from_json(vector["secret"])
    with patch("jwt.api_jwt.datetime", Frozen):
        claims = jwt.decode(vector["headers"]["plaid-verification"], key, algorithms=["ES256"])
    assert claims["request_body_sha256"] == hashlib.sha256(vector["body"].encode()).hexdigest()


def by_wise(vector):
    key = serialization.load_pem_public_key(vector["secret"].encode())
    signature = decoded(vector["headers"]["x-signature-sha256"])
    key.verify(signature, vector["body"].encode(), padding.PKCS1v15(), hashes.SHA256())


def by_ed25519(vector):
    key = ed25519.Ed25519PublicKey.from_public_bytes(decoded(vector["secret"].removeprefix("whpk_")))
    headers = vector["headers"]
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{vector['body']}"
    key.verify(decoded(headers["webhook-signature"].removeprefix("v1a,")), message.encode())


LIBRARIES = {
    "stripe": by_stripe,
    "standard-webhooks": lambda vector: standard(Webhook, "webhook", vector),
    "svix": lambda vector: standard(SvixWebhook, "svix", vector),
    "adyen-platform": by_adyen,
    "square": by_square,
    "paddle": by_paddle,
    "razorpay": by_razorpay,
    "coinbase-commerce": by_coinbase,
    "mollie": by_mollie,
    "gocardless": by_gocardless,
    "mercado-pago": by_mercado_pago,
    "cashfree": by_cashfree,
}

BY_PRIVATE_KEYS = {
    "paypal": by_paypal,
    "plaid": by_plaid,
    "wise": by_wise,
    "standard-webhooks": by_ed25519,
}


def decoded(text):
    return base64.b64decode(text, validate=True)


def encoded(data):
    return base64.b64encode(data).decode()


def is_accepted(check, vector):
    try:
        check(vector)
    except Exception:
        return False
    return True


def flipped(text, place):
    """The text with the lowest bit of one byte changed; each of ours is still UTF-8 then."""
    content = bytearray(text.encode())
    content[place] ^= 1
    return content.decode()


def changed(vector):
    """The vector with each byte of its body changed, each byte of its headers and query, and its time."""
    if "data.id" not in vector.get("query", ""):
        for place in range(len(vector["body"].encode())):
            yield f"byte {place} of the body", {**vector, "body": flipped(vector["body"], place)}
    for name, value in vector["headers"].items():
        for place in range(len(value)):
            yield f"byte {place} of {name}", {**vector, "headers": {**vector["headers"], name: flipped(value, place)}}
    for place in range(len("data.id="), len(vector.get("query", ""))):
        yield f"byte {place} of the query", {**vector, "query": flipped(vector["query"], place)}
    if vector["preset"] not in BY_PRIVATE_KEYS or vector["secret"].startswith("whsec_"):
        # The last characters of base 64 may say nothing.
        yield "another key", {**vector, "secret": flipped(vector["secret"], len(vector["secret"]) - 10)}


def check_all(vectors, libraries):
    for preset, check in libraries.items():
        vector = next(vector for vector in vectors if vector["preset"] == preset)
        check(vector)
        for what, other in changed(vector):
            assert not is_accepted(check, other), f"{preset} with {what} changed is accepted"
    return list(libraries)


def check_adapters():
    delivery = json.loads((FIXTURES / "adapters/adyen.json").read_text())
    key = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
    assert adyen.is_valid_hmac_notification(delivery, key)
    item = delivery["notificationItems"][0]["NotificationRequestItem"]
    for field in ("pspReference", "merchantReference", "eventCode", "success"):
        other = json.loads(json.dumps(delivery))
        other["notificationItems"][0]["NotificationRequestItem"][field] = flipped(item[field], 0)
        assert not adyen.is_valid_hmac_notification(other, key), field

    gateway = braintree.BraintreeGateway(
        braintree.Configuration(braintree.Environment.Sandbox, "merchant", "public1", "private-key-5f0c")
    )
    pairs = (FIXTURES / "adapters/braintree.txt").read_text().strip().split("&")
    signature, payload = (unquote_plus(pair.split("=", 1)[1]) for pair in pairs)
    assert gateway.webhook_notification.parse(signature, payload).kind == "dispute_opened"
    assert not is_accepted(lambda text: gateway.webhook_notification.parse(signature, text), flipped(payload, 9))
    challenge = "20f9f8ed05f77439fe955c977e4c8a53"
    answer = (FIXTURES / "adapters/braintree-answer.txt").read_text().strip()
    assert gateway.webhook_notification.verify(challenge) == answer
    return ["adyen", "braintree"]


def written_anew():
    """What only private keys can sign, each by a new one."""
    body, time = sign.BODY, f"{Frozen.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    row = {"at_s": sign.AT, "id": sign.ID, "body": body}
    pem = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "messageverificationcerts.paypal.com")])
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, Frozen.now(), Frozen.now() + timedelta(days=9999))
    headers = {"paypal-transmission-id": sign.ID, "paypal-transmission-time": time}
    message = WebhookEvent._get_expected_sig(sign.ID, time, "8PT597110X687430LKGECATA", body).encode()
    headers["paypal-transmission-sig"] = encoded(key.sign(message, padding.PKCS1v15(), hashes.SHA256()))
    secret = certificate.sign(key, hashes.SHA256()).public_bytes(pem[0]).decode()
    options = {"webhook_id": "8PT597110X687430LKGECATA"}
    yield {"preset": "paypal", **row, "secret": secret, "headers": headers, "options": options}

    key = rsa.generate_private_key(65537, 2048)
    signature = encoded(key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))
    secret = key.public_key().public_bytes(*pem).decode()
    yield {"preset": "wise", **row, "secret": secret, "headers": {"x-signature-sha256": signature}}

    key = ed25519.Ed25519PrivateKey.generate()
    signature = "v1a," + encoded(key.sign(f"{sign.ID}.{sign.AT}.{body}".encode()))
    headers = {"webhook-id": sign.ID, "webhook-timestamp": str(sign.AT), "webhook-signature": signature}
    secret = "whpk_" + encoded(key.public_key().public_bytes_raw())
    yield {"preset": "standard-webhooks", **row, "secret": secret, "headers": headers}

    key = ec.generate_private_key(ec.SECP256R1())
    claims = {"iat": sign.AT, "request_body_sha256": hashlib.sha256(body.encode()).hexdigest()}
    token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": "1"})
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    secret = json.dumps({**public, "kid": "1", "alg": "ES256", "use": "sig", "created_at": sign.AT, "expired_at": None})
    yield {"preset": "plaid", **row, "secret": secret, "headers": {"plaid-verification": token}}


def main():
    if "--write" in sys.argv[1:]:
        rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in written_anew())
        BY_KEYS.write_text(f"[\n  {rows}\n]\n")
    agreed = check_all(json.loads((FIXTURES / "signed.json").read_text()), LIBRARIES)
    agreed += check_adapters()
    agreed += check_all(json.loads(BY_KEYS.read_text()), BY_PRIVATE_KEYS)
    print(f"ok: {len(agreed)} checks by the providers' libraries for Python: {', '.join(agreed)}")


if __name__ == "__main__":
    main()
