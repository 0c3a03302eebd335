"""Follows one payment with httpx-sse, as a merchant's backend would, and prints each message as one line of JSON.

usage: follow.py BASE_URL PAYMENT TOKEN

httpx-sse parses a stream but does not reconnect: the caller keeps the last id and the retry time, and comes back with
them. This is that loop. It ends when the payment is finished (204), and with an error at an answer that waiting won't heal.
"""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse

DEFAULT_RETRY_S = 3.0
# A silent stream has a heartbeat every 15 s; twice that without a byte is a lost connection.
READ_TIMEOUT_S = 30.0


def follow(base_url: str, payment: str, token: str) -> int:
    """Prints messages until the payment is finished; gives the exit code."""
    url = f"{base_url}/v1/payments/{payment}/events?until=finished"
    last_id = ""
    retry_s = DEFAULT_RETRY_S
    timeout = httpx.Timeout(10.0, read=READ_TIMEOUT_S)
    with httpx.Client(timeout=timeout, headers={"Authorization": f"Bearer {token}"}) as client:
        while True:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            try:
                with connect_sse(client, "GET", url, headers=headers) as source:
                    status = source.response.status_code
                    if status == 204:
                        return 0
                    if status != 200:
                        print(f"refused: status {status}", file=sys.stderr)
                        return 1
                    for event in source.iter_sse():
                        last_id = event.id or last_id
                        if event.retry is not None:
                            retry_s = event.retry / 1000
                        if event.event == "message" and event.data:
                            print(json.dumps(json.loads(event.data)), flush=True)
            except httpx.TransportError as error:
                print(f"lost: {error!r}", file=sys.stderr)
            time.sleep(retry_s)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(follow(*sys.argv[1:]))
