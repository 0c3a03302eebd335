"""Signs webhooks as the providers' manuals say, with Python's standard library, and prints them as JSON.

    python3 tests/clients/oracles/sign.py > src/source/fixtures/signed.json

It shares nothing with the gateway: the unit tests check that the gateway takes what is signed here and signs alike, and
`check.mjs` that the providers' own libraries do too.
"""

import base64
import hashlib
import hmac
import json

AT = 1790000000
BODY = '{"id":"evt_1","type":"test","amount":"10.00","note":"caf\u00e9 \\u00e9 / \\/"}'
UTF8 = "5f0c8f3b1c2d9a7e55aa77bb"
HEX = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg-1"


def mac(key, message, algorithm="sha256"):
    key, message = ([text.encode() if isinstance(text, str) else text for text in (key, message)])
    return hmac.new(key, message, algorithm)


def hexed(*arguments):
    return mac(*arguments).hexdigest()


def b64(*arguments):
    return base64.b64encode(mac(*arguments).digest()).decode()


def plain(preset, header, signature, secret=UTF8, **more):
    return {"preset": preset, "secret": secret, "headers": {header: signature}, **more}


def webhooks():
    yield plain("stripe", "stripe-signature", f"t={AT},v1=" + hexed("whsec_" + UTF8, f"{AT}.{BODY}"), "whsec_" + UTF8)
    for preset, name in [("standard-webhooks", "webhook"), ("svix", "svix")]:
        signature = b64(base64.b64decode(WHSEC[6:]), f"{ID}.{AT}.{BODY}")
        headers = {f"{name}-id": ID, f"{name}-timestamp": str(AT), f"{name}-signature": "v1," + signature}
        yield {"preset": preset, "secret": WHSEC, "headers": headers}
    yield plain("adyen-platform", "hmacsignature", b64(bytes.fromhex(HEX), BODY), HEX)
    url = "https://pay.example/webhooks/square"
    yield plain(
        "square", "x-square-hmacsha256-signature", b64(UTF8, url + BODY), options={"notification_url": url}
    )
    yield plain("checkout", "cko-signature", hexed(UTF8, BODY))
    yield plain("paddle", "paddle-signature", f"ts={AT};h1=" + hexed(UTF8, f"{AT}:{BODY}"))
    yield plain("razorpay", "x-razorpay-signature", hexed(UTF8, BODY))
    yield plain("paystack", "x-paystack-signature", hexed(UTF8, BODY, "sha512"))
    yield plain("flutterwave", "flutterwave-signature", b64(UTF8, BODY))
    yield plain("flutterwave-v3", "verif-hash", UTF8)
    yield plain("coinbase-commerce", "x-cc-webhook-signature", hexed(UTF8, BODY))
    names, values = "content-type x-event-id", "application/json.e1"
    signature = hexed(UTF8, f"{AT}.{names}.{values}.{BODY}")
    yield {
        "preset": "coinbase",
        "secret": UTF8,
        "headers": {
            "x-hook0-signature": f"t={AT},v0={'0' * 64},h={names},v1={signature}",
            "content-type": "application/json",
            "x-event-id": "e1",
        },
    }
    yield plain("mollie", "x-mollie-signature", "sha256=" + hexed(UTF8, BODY))
    yield {"preset": "mollie-classic", "secret": UTF8, "headers": {}, "query": f"token={UTF8}"}
    yield {"preset": "worldpay-wpg", "secret": UTF8, "headers": {}, "query": f"token={UTF8}"}
    yield plain("gocardless", "webhook-signature", hexed(UTF8, BODY))
    yield plain("shopify", "x-shopify-hmac-sha256", b64(UTF8, BODY))
    key_id = "krn:partner:global:notification:signing-key:49bcd37b"
    yield {
        "preset": "klarna",
        "secret": f"{key_id}:{UTF8}",
        "headers": {"klarna-signing-key-id": key_id, "klarna-signature": hexed(UTF8, BODY)},
    }
    yield {"preset": "klarna-push", "secret": UTF8, "headers": {}, "query": f"token={UTF8}"}
    yield plain("worldpay", "event-signature", "1/SHA256/" + hexed(UTF8, BODY), "1:" + UTF8)
    yield plain("xendit", "x-callback-token", UTF8)
    manifest = f"id:{ID};request-id:{ID};ts:{AT};"
    yield {
        "preset": "mercado-pago",
        "secret": UTF8,
        "headers": {"x-request-id": ID, "x-signature": f"ts={AT},v1=" + hexed(UTF8, manifest)},
        "query": f"data.id={ID}",
    }
    yield plain("authorize-net", "x-anet-signature", "sha512=" + hexed(HEX, BODY, "sha512").upper(), HEX)
    yield {
        "preset": "cashfree",
        "secret": UTF8,
        "headers": {"x-webhook-timestamp": str(AT), "x-webhook-signature": b64(UTF8, f"{AT}{BODY}")},
    }
    date = "2026-09-21T14:13:20.000Z"
    signature = hexed(UTF8, f"{ID}{date}{BODY}")
    yield {
        "preset": "dlocal",
        "secret": UTF8,
        "headers": {"x-login": ID, "x-date": date, "authorization": f"V2-HMAC-SHA256, Signature: {signature}"},
    }
    yield plain(
        "dlocal-go",
        "authorization",
        "V2-HMAC-SHA256, Signature: " + hexed(UTF8, "api-key" + BODY),
        options={"api_key": "api-key"},
    )
    yield {
        "preset": "revolut",
        "secret": "wsk_" + UTF8,
        "headers": {
            "revolut-request-timestamp": f"{AT}000",
            "revolut-signature": "v1=" + hexed("wsk_" + UTF8, f"v1.{AT}000.{BODY}"),
        },
    }
    yield plain("lemon-squeezy", "x-signature", hexed(UTF8, BODY))
    yield plain("btcpay", "btcpay-sig", "sha256=" + hexed(UTF8, BODY))
    yield plain("generic", "x-signature", hexed(UTF8, BODY))
    yield {
        "preset": "generic-timestamped",
        "secret": UTF8,
        "headers": {"x-timestamp": str(AT), "x-signature": hexed(UTF8, f"{AT}.{BODY}")},
    }


if __name__ == "__main__":
    rows = [{"at_s": AT, "body": BODY, "id": ID, **webhook} for webhook in webhooks()]
    print("[\n  " + ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]")
