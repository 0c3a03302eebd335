"""Writes the corpora that the fuzzer begins with, from the fixtures of the tests and a few texts of its own.

    python3 fuzz/seeds.py

Run it again when fixtures have changed: what is there is written anew, what the fuzzer found besides is left.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

FUZZ = Path(__file__).parent
FIXTURES = FUZZ.parent / "src/source/fixtures"
# As in src/fuzzing.rs.
NOW = 1790000000
TOKEN_KEY = "b1946ac92492d2347c6235b4d2611184f1c9b8e07a6d5342"
SEPARATOR = "\x1e"
LARGEST = 4096


def request(first, body="", headers=None, query=""):
    lines = [first]
    lines += [f"?{query}"] if query else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\n".join(lines) + "\n\n" + body


def fixture(name):
    return (FIXTURES / name).read_text()


def vectors():
    return json.loads(fixture("signed.json")) + json.loads(fixture("signed-by-keys.json"))


def cases():
    """A few deliveries of each preset."""
    for path in sorted((FIXTURES / "events").glob("*.json")):
        rows = json.loads(path.read_text())
        bodies = [row["body"] if isinstance(row["body"], str) else compact(row["body"]) for row in rows[:6]]
        while len(SEPARATOR.join(bodies).encode()) > LARGEST - 512 and len(bodies) > 1:
            bodies.pop()
        yield request(path.stem, SEPARATOR.join(bodies), rows[0].get("headers"), rows[0].get("query", ""))
    for path in sorted((FIXTURES / "stripe").glob("*.json"))[::4]:
        yield request("stripe", compact(json.loads(path.read_text())))
    for preset in ("generic", "generic-timestamped"):
        for event, time in (("pending", NOW), ("confirmed", "2026-09-21T14:13:20Z"), ("refunded", NOW + 1)):
            payment = {"id": "pay_1", "status": event, "amount": "12.34", "currency": "EUR"}
            body = {"id": f"evt_{event}", "event": f"payment.{event}", "timestamp": time, "payment": payment}
            yield request(preset, compact(body))
    for preset in ("standard-webhooks", "svix"):
        body = {"type": "invoice.paid", "timestamp": "2026-09-21T14:13:20Z"}
        body["data"] = {"id": "inv_1", "amount": "12.34", "currency": "EUR"}
        name = "webhook" if preset == "standard-webhooks" else "svix"
        headers = {f"{name}-id": "msg_1", f"{name}-timestamp": str(NOW)}
        yield request(preset, compact(body), headers)


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def signature_line(vector):
    return max(vector["headers"].values(), key=len, default=vector.get("query", ""))


def headers():
    for vector in vectors():
        yield f"{vector['preset']}\n{signature_line(vector)}"
    yield "stripe\nt=1,t=2,v1=a"
    yield "stripe\n" + "v1=a," * 20
    yield "worldpay\n1/SHA256/ab,2/SHA256/cd, 3/SHA1/ef,/SHA256/00"
    yield "standard-webhooks\nv1,a v1a,b v2,c  v1,d"
    yield "coinbase\nt=1,h=a b,v0=00,v1=11"


def recipes():
    for vector in vectors():
        yield request(vector["preset"], vector["body"], vector["headers"], vector.get("query", ""))


def adapters():
    adyen = json.loads(fixture("adapters/adyen.json"))
    yield request("adyen", compact(adyen))
    yield request("adyen", compact({**adyen, "notificationItems": adyen["notificationItems"] * 2}))
    yield request("adyen", '{"live":"false","notificationItems":[{"NotificationRequestItem":{}}]}')
    yield request("adyen", '{"live":"false","notificationItems":[]}')
    yield request("braintree", fixture("adapters/braintree.txt").strip())
    yield request("braintree", "bt_signature=public1|00&bt_payload=PGEvPg%3D%3D%0A")
    yield request("braintree", query="bt_challenge=20f9f8ed05f77439fe955c977e4c8a53")
    yield request("opennode", fixture("adapters/opennode.txt").strip())
    yield request("opennode", "id=1&status=paid&hashed_order=00")
    body = json.loads(fixture("events/nowpayments.json"))[0]["body"]
    signature = hmac.new(b"8f3b1c2d9a7e55aa", json.dumps(body, sort_keys=True, separators=(",", ":")).encode(), "sha512")
    yield request("nowpayments", json.dumps(body), {"x-nowpayments-sig": signature.hexdigest()})
    yield request("nowpayments", "{}", {"x-nowpayments-sig": "00"})
    head = encoded({"alg": "ES256", "kid": "1", "typ": "JWT"})
    claims = encoded({"iat": NOW, "request_body_sha256": hashlib.sha256(b"{}").hexdigest()})
    yield request("plaid", "{}", {"plaid-verification": f"{head}.{claims}.{'A' * 86}"})
    yield request("plaid", "{}", {"plaid-verification": "a.b.c"})
    signed = vectors()[-1]
    yield request("plaid", signed["body"], signed["headers"])


def json_texts():
    for path in sorted((FIXTURES / "events").glob("*.json")):
        body = json.loads(path.read_text())[0]["body"]
        if not isinstance(body, str) and len(compact(body)) < LARGEST:
            yield compact(body)
    yield '{"b":{"z":0,"a":{"y":1.50,"b":"\\u00e9\\n/"}},"a":[{"b":1,"a":null}],"":true}'
    yield "[1e400,-0.0,1.0E+2,0.10]"
    yield '"\\ud83d\\ude00"'


def encoded(value):
    text = value if isinstance(value, str) else compact(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def tokens():
    claims = {"aud": "paystream", "realm": "default", "payments": ["pay_1"], "iat": NOW, "exp": NOW + 900}
    for kid in ("k1", "ops"):
        message = encoded({"alg": "HS256", "kid": kid}) + "." + encoded(claims)
        mac = hmac.new((TOKEN_KEY + kid).encode(), message.encode(), "sha256")
        token = f"{message}.{base64.urlsafe_b64encode(mac.digest()).decode().rstrip('=')}"
        yield request(kid, headers={"authorization": f"Bearer {token}"})
        yield request(kid, headers={"cookie": f"a=b; paystream_token={token}"})
        yield request(kid, query=f"x=1&access_token={token}")
        for change in (
            {},
            {"payments": ["*"]},
            {"payments": ["a", "*"]},
            {"aud": ["other", "paystream"]},
            {"exp": NOW - 29},
            {"exp": NOW + 90000},
            {"nbf": NOW + 31},
            {"iat": NOW + 0.5},
            {"realm": "other"},
        ):
            yield request(kid, compact({**claims, **change}))


def xml_texts():
    for row in json.loads(fixture("events/worldpay-wpg.json"))[:8]:
        yield row["body"]
    form = fixture("adapters/braintree.txt").strip()
    yield base64.b64decode(form.split("bt_payload=")[1].replace("%2B", "+").replace("%3D", "=").replace("%0A", "")).decode()
    yield '<a v="1"><!-- none --><b> x &amp; y </b><c t="i">5</c><d/><e>1</e><e>2</e><e>3</e></a>'
    yield '<x:a xmlns:x="urn:x" x:b="&#10;"><![CDATA[<c>]]><!-- d -->e</x:a>'
    yield '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
    yield "<a>" * 40 + "</a>" * 40
    # Each of these has a middle that is repeated; 1F stands for a number.
    yield "<a\x1e b\x1f='c'\x1e/>"
    yield "<a>\x1e<b xmlns:c\x1f='d'>\x1e</a>"
    yield "<a xmlns:b='c' xmlns:d='e'>\x1e<b:f/>\x1e</a>"
    yield "<a>\x1e<b c='1' d='2' e='3' f='4'/>\x1e</a>"
    yield "<a>\x1e<![CDATA[]]>b&amp;<!---->\x1e</a>"
    yield "<a b='\x1e&#10;&amp;\x1e'/>"


CORPORA = {
    "adapter": adapters(),
    "canonical": json_texts(),
    "cursor": [
        "0-0", "k3f9xav2-4", "00000001-1", "zzzzzzzz-512", "00000001-01", "0-1", "00000001-0", "00000001-+1", "0000000i-1",
        "00000001-18446744073709551615", "00000001-18446744073709551616", "-", "k3f9xav2-4.0-0",
    ],
    "depth": [
        "\x02" + text
        for text in (
            "1", "{}", '[{"a":[]},[[]]]', '{"a":"[[[["}', '{"a":"\\"[[["}', '{"a":"\\\\","b":[[]]}', "]]]][[", '"',
            '{"a":{"b":{"c":{}}}}', "[[[[[[[[", '["\\', "[[],[],[[[]]]]", '{"":"{"}',
        )
    ],
    "form": [
        "id=tr_1", "a=1&a=2", "a=1&b=2&c=", "a", "=", "&&a=b&", "a=%41%zz%4", "a+b=c+d", "%61=b&a=c", "a=%ff%fe", "a=b=c",
        "data.id=7%2F8&type=payment", "bt_challenge=20f9f8ed05f77439fe955c977e4c8a53", "é=ü",
    ],
    "header": headers(),
    "mapping": cases(),
    "card": [
        "4242424242424242", "order-4242-4242-4242-4242", "4242424242424242-12/26", "42424242424242421226", "order_1736846575470",
        "1-4242-4242-4242-4242-7", "3782-822463-10005", "36227206271667", "4222222222222", "6304000000000000", "20261130101530-0042",
        "550e8400-e29b-41d4-a716-446655440000", "2026-11-30T10:15:30.123456Z", "pi_3PqJt2KZvKYlo2C1", "5066991111111118",
    ],
    "money": [
        chr(exponent) + text
        for exponent, text in (
            (2, "12.34"), (2, "72.00"), (3, "2"), (2, "-0.01"), (2, "1.5e2"), (2, "1E-2"), (2, "0e999999999"), (2, "1e999999999"),
            (2, "92233720368547758.07"), (2, "92233720368547758.08"), (2, "1.005"), (0, "1.5"), (2, ".5"), (2, "5."), (2, "+1"),
            (18, "0.000000000000000001"), (8, "EUR"), (8, "BTC/8"), (2, "ISK/2"), (2, "1e+02"), (2, "1e-2147483649"),
        )
    ],
    "recipe": recipes(),
    "redact": [
        "4242424242424242", "card 4242 4242 4242 4242, ok", "4242-4242-4242-4242", "x378282246310005x", "4242--4242--4242--4242",
        "4242.4242_4242/4242", "4242:4242+4242,4242", "4242|4242*4242~4242", "４２４２４２４２４２４２４２４２", "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",
        "4242\u00a04242\u00a04242\u00a04242", "4242\u20114242\u20114242\u20114242", "security code 123", "cvv is 1234",
        "cvc=123&x=1", '{"cvc":"123","a":1}', "cvv2\n123", "security_code = 12", "pan\nabc", "a\r\nb\0\x1b[31m", "evt_1790000000",
        "00000000000000000000000000000000000000", "track2=;5105105105105100=29101011234567890?", "Card-Number: 5555 5555-5555 4444",
    ],
    "time": [
        chr(form) + text
        for form, text in (
            (0, "1790000000"), (0, "+1790000000"), (0, "99999999999999999999"), (1, "1790000000123"), (2, "1790000000"),
            (2, "1790000000123"), (2, "0000000000001"), (3, "2026-09-21T16:13:20.5+02:00"), (3, "2026-09-21T14:13:20Z"),
            (3, "2026-09-21 14:13:20.123456789Z"), (3, "1969-12-31T23:59:59Z"), (3, "9998-12-31T23:59:59.999Z"),
            (3, "2026-09-21T14:13:20Z[Europe/Berlin]"), (4, "1790000000"), (4, "2026-06-26T15:17:31.000+0000"),
        )
    ],
    "token": tokens(),
    "xml": xml_texts(),
}


def main():
    for target, texts in CORPORA.items():
        folder = FUZZ / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(texts):
            content = text.encode()
            if len(content) <= LARGEST:
                (folder / f"seed-{number:02}").write_bytes(content)


if __name__ == "__main__":
    main()
