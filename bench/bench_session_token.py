"""What a session token costs on the hot path, against the look-up in the database that it spares.

Both sides answer "whose access key is this, and what is its secret?" for 256 sessions of a role. Ours opens the token,
once remembered and once anew (unsealed, unpacked); the other reads the session's row from SQLite by its access key id
and opens the secret that is sealed in it. Rounds are interleaved and measured in CPU time of this process; the results
are medians of the rounds' ratios.

    python -m bench.bench_session_token [--check]   --check: exit 1 below 20 times (remembered) or 4 times (anew)
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.identity.sealing_keys import SealingKeys
from opentrail.identity.session_tokens import SessionTokens, temporary_key_id
from opentrail.state.database import Database
from opentrail.state.sealing import Seal

TARGET_REMEMBERED = 20.0
TARGET_ANEW = 4.0
SESSIONS = 256
ROUNDS = 9
_ACCOUNT = "123456789012"
_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
_ROWS = sa.Table(
    "bench_sessions",
    sa.MetaData(),
    sa.Column("access_key_id", sa.String(20), primary_key=True),
    sa.Column("arn", sa.Text),
    sa.Column("sealed_secret", sa.LargeBinary),
)


def session(access_key_id: str) -> Principal:
    """A session as a pipeline would have it: tags, a source identity and a session policy."""
    issuer = SessionIssuer(
        "Role", "AROAEXAMPLEEXAMPLE000", f"arn:aws:iam::{_ACCOUNT}:role/ops/deploy", _ACCOUNT, "deploy"
    )
    context = SessionContext(
        created_at=_NOON,
        issuer=issuer,
        expires_at=_NOON + timedelta(hours=1),
        source_identity="alice@example.com",
        tags=(("agent", "codex"), ("run", "4711"), ("on-behalf-of", "alice")),
        transitive_tag_keys=("agent", "run"),
        policies=('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}',),
    )
    arn = f"arn:aws:sts::{_ACCOUNT}:assumed-role/deploy/build-4711"
    who = Principal(PrincipalType.ASSUMED_ROLE, _ACCOUNT, "AROAEXAMPLEEXAMPLE000:build-4711", arn, access_key_id)
    return replace(who, session=context)


class Sample:
    """The same sessions both ways: as tokens, and as rows."""

    def __init__(self, folder: Path) -> None:
        entropy = SystemEntropy()
        self.database = Database(folder / "bench.sqlite")
        self.database.create_tables()
        self.seal = Seal(entropy.token(32), entropy)
        self.keys = SealingKeys(self.database, self.seal, SystemClock(), entropy)
        self.tokens = SessionTokens(self.keys)
        _ROWS.create(self.database.engine)
        self.issued: list[tuple[str, str]] = []
        with self.database.unit() as unit:
            for _ in range(SESSIONS):
                key_id = temporary_key_id(entropy, _ACCOUNT)
                who = session(key_id)
                self.issued.append((key_id, self.tokens.issue(who, _SECRET)))
                sealed = self.seal.seal(_SECRET.encode(), key_id)
                unit.execute(sa.insert(_ROWS).values(access_key_id=key_id, arn=who.arn, sealed_secret=sealed))

    def remembered(self) -> None:
        """Open every token with the tokens' own memory."""
        for key_id, token in self.issued:
            self.tokens.open(token, key_id, _NOON)

    def anew(self) -> None:
        """Open every token for the first time."""
        tokens = SessionTokens(self.keys)
        for key_id, token in self.issued:
            tokens.open(token, key_id, _NOON)

    def looked_up(self) -> None:
        """Read every session's row and open its secret."""
        for key_id, _ in self.issued:
            with self.database.read() as connection:
                row = connection.execute(sa.select(_ROWS).where(_ROWS.c.access_key_id == key_id)).one()
            self.seal.open(row.sealed_secret, key_id)


def run(*, rounds: int = ROUNDS, report: Callable[[str], None] | None = None) -> dict[str, float]:
    """Measure; returns median CPU microseconds per token and the ratios ``remembered`` and ``anew``."""
    with tempfile.TemporaryDirectory() as folder:
        sample = Sample(Path(folder))
        ways = {"looked_up": sample.looked_up, "anew": sample.anew, "remembered": sample.remembered}
        for way in ways.values():
            way()
        measured: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for name, way in ways.items():
                measured[name].append(_cpu_us(way) / SESSIONS)
            if report is not None:
                report(f"round {number + 1}: " + ", ".join(f"{name} {us[-1]:.1f} us" for name, us in measured.items()))
        sample.database.close()
    slow = measured["looked_up"]
    result = {f"{name}_us": median(values) for name, values in measured.items()}
    for name in ("remembered", "anew"):
        result[name] = median(a / b for a, b in zip(slow, measured[name], strict=True))
    return result


def _cpu_us(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e6


if __name__ == "__main__":
    found = run(report=print)
    print(
        f"session tokens against a database: {found['remembered']:.0f} times (remembered), {found['anew']:.1f} (anew)"
    )
    if "--check" in sys.argv[1:] and (found["remembered"] < TARGET_REMEMBERED or found["anew"] < TARGET_ANEW):
        sys.exit(1)
