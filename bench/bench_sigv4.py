"""How fast a signature is verified, against signing the request again with botocore (what most emulators do).

Both sides get the same requests: POST, a query of two parameters, six signed headers, a body of 145 bytes, 64 of them
signed at different seconds. Ours is the whole way of one call: reading the Authorization header, the cached key, the
body's hash, the verification. Rounds are interleaved and measured in CPU time of this process, so that other load on
the machine does not count; the result is the median of the rounds' ratios.

    python -m bench.bench_sigv4 [--check]        --check: exit 1 below 7 times
"""

import hmac
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from statistics import median
from typing import Any

import botocore.auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from opentrail.aws.http import RequestHead
from opentrail.aws.sigv4 import Scope, SigningKey, SigningKeys, read_authorization, sign, verify

TARGET_RATIO = 7.0
ROUNDS = 15
PASSES = 30
_ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
_QUERY = "Action=LookupEvents&Version=2013-11-01"
_HOST = "cloudtrail.us-east-1.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Signed:
    """One signed request; ``signed_at`` is naive UTC, as botocore has it."""

    head: RequestHead
    body: bytes
    signed_at: datetime


class _BotocoresClock:
    """Stands in for the function that botocore asks for the time (naive UTC), for as long as a measurement takes."""

    def __init__(self) -> None:
        self.now = _NOON

    def __call__(self) -> datetime:
        return self.now

    @contextmanager
    def set(self) -> Iterator[None]:
        """Make botocore ask this clock."""
        module = vars(botocore.auth)
        real = module["get_current_datetime"]
        module["get_current_datetime"] = self
        try:
            yield
        finally:
            module["get_current_datetime"] = real


_botocores_clock = _BotocoresClock()


def requests(count: int = 64) -> list[Signed]:
    """That many requests, signed a second apart, each with its own body of 145 bytes."""
    scope = Scope("20261123", "us-east-1", "cloudtrail")
    key = SigningKey(_SECRET, scope)
    made = []
    for number in range(count):
        signed_at = _NOON + timedelta(seconds=number)
        body = b'{"MaxResults":50,"NextToken":"%04d"}' % number
        body += b" " * (145 - len(body))
        headers = {
            "host": _HOST,
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
            "content-length": "145",
        }
        added = sign(
            "POST",
            "/",
            _QUERY,
            headers,
            key=key,
            access_key_id=_ACCESS_KEY_ID,
            scope=scope,
            signed_at=signed_at,
            payload_hash=sha256(body).hexdigest(),
        )
        sent = headers | added | {"user-agent": "aws-cli/2.31.0 md/awscrt#0.27.6", "accept-encoding": "identity"}
        made.append(Signed(RequestHead("POST", "/", _QUERY, sent), body, signed_at.replace(tzinfo=None)))
    return made


def with_opentrail(sample: list[Signed], keys: SigningKeys) -> None:
    """Verify every request our way."""
    for request in sample:
        authorization = read_authorization(request.head)
        if authorization is None:
            raise AssertionError("the sample is signed")
        key = keys.get(authorization.access_key_id, _SECRET, authorization.scope)
        verify(request.head, authorization, key, sha256(request.body).hexdigest(), now=_NOON)


def with_botocore(sample: list[Signed]) -> None:
    """Verify every request by signing it again, at its own time, and comparing."""
    for request in sample:
        headers = request.head.headers
        parameters = dict(
            part.strip().split("=", 1) for part in headers["authorization"].removeprefix("AWS4-HMAC-SHA256").split(",")
        )
        access_key_id, _, region, service, _ = parameters["Credential"].split("/")
        again: Any = AWSRequest(
            method=request.head.method,
            url=f"https://{headers['host']}{request.head.path}?{request.head.query}",
            headers={name: headers[name] for name in parameters["SignedHeaders"].split(";")},
            data=request.body,
        )
        _botocores_clock.now = request.signed_at
        SigV4Auth(Credentials(access_key_id, _SECRET), service, region).add_auth(again)
        if not hmac.compare_digest(again.headers["Authorization"], headers["authorization"]):
            raise AssertionError("botocore does not agree with the signature")


def run(*, rounds: int = ROUNDS, passes: int = PASSES, report: Callable[[str], None] | None = None) -> dict[str, float]:
    """Measure; returns the median CPU microseconds per request of both, and ``ratio``, the median of the ratios."""
    sample = requests()
    keys = SigningKeys()
    ours: list[float] = []
    theirs: list[float] = []
    with _botocores_clock.set():
        with_opentrail(sample, keys)
        with_botocore(sample)
        for number in range(rounds):
            theirs.append(_cpu_us(lambda: with_botocore(sample), max(passes // 6, 1)) / len(sample))
            ours.append(_cpu_us(lambda: with_opentrail(sample, keys), passes) / len(sample))
            if report is not None:
                ratio = theirs[-1] / ours[-1]
                report(f"round {number + 1}: botocore {theirs[-1]:.1f} us, ours {ours[-1]:.2f} us, {ratio:.1f}x")
    ratios = [slow / fast for slow, fast in zip(theirs, ours, strict=True)]
    return {"botocore_us": median(theirs), "opentrail_us": median(ours), "ratio": median(ratios)}


def _cpu_us(work: Callable[[], None], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times * 1e6


if __name__ == "__main__":
    result = run(report=print)
    print(f"SigV4 verify: {result['ratio']:.1f} times as fast as botocore re-sign (target {TARGET_RATIO:.0f})")
    if "--check" in sys.argv[1:] and result["ratio"] < TARGET_RATIO:
        sys.exit(1)
