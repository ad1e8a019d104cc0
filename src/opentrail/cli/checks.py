"""What ``opentrail doctor`` finds, as values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``state`` is ``ok``, ``note`` (nothing to do now) or ``problem``."""

    subject: str
    state: str
    detail: str
