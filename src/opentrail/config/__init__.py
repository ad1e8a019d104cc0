"""Settings: one TOML file, overridden by environment variables.

``settings`` holds every name, type and default; ``reading`` brings file and environment into that form; ``rules`` says
what values must fulfil together.
"""

from opentrail.config.reading import load, words
from opentrail.config.rules import ACCOUNT_CREDENTIALS
from opentrail.config.settings import (
    ARCHIVE,
    DEFAULT_PORT,
    SECTIONS,
    UPSTREAM_SECTION,
    OpsworksSettings,
    Settings,
    SnsSettings,
    StsSettings,
    UpstreamSettings,
    names_of,
)

__all__ = [
    "ACCOUNT_CREDENTIALS",
    "ARCHIVE",
    "DEFAULT_PORT",
    "SECTIONS",
    "UPSTREAM_SECTION",
    "OpsworksSettings",
    "Settings",
    "SnsSettings",
    "StsSettings",
    "UpstreamSettings",
    "load",
    "names_of",
    "words",
]
