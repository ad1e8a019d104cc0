"""Settings: one TOML file, overridden by environment variables; every name, type and default stands in this file.

Unknown names are errors, and all problems are told at once. ``docs/configuration.md`` is checked against these classes.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from opentrail.errors import ConfigError
from opentrail.gateway.client_address import networks

DEFAULT_PORT = 4566
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_ENVIRONMENT_PREFIX = "OPENTRAIL_"


def _setting(default: Any, sentence: str) -> Any:
    return field(default=default, metadata={"sentence": sentence})


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """``[gateway]``"""

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(DEFAULT_PORT, "Port to listen on; 0 takes a free one.")
    tls: bool = _setting(False, "Serve HTTPS instead of HTTP.")
    tls_certificate: str = _setting("", "Certificate chain (PEM); empty: one from our own authority in HOME/tls.")
    tls_key: str = _setting("", "Private key of that certificate (PEM, unencrypted).")
    hosts: str = _setting("", "Further host names of the endpoint, separated by commas (for virtual-host style S3).")
    trusted_proxies: str = _setting(
        "", "Addresses and CIDR blocks, separated by commas, whose X-Forwarded-For is believed."
    )


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """``[delivery]``"""

    interval_s: float = _setting(60.0, "Seconds after which collected records go into a log file; at least 1.")
    max_bytes: int = _setting(52_428_800, "Bytes of records, before compression, that fill a log file.")


@dataclass(frozen=True, slots=True)
class TrailsSettings:
    """``[trails]``"""

    bucket_policy: str = _setting(
        "check", "`check`: the bucket's policy must let CloudTrail write; `trust`: not in own buckets."
    )


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """``[upstream.s3]``"""

    endpoint: str = _setting("", "URL of the S3 server behind us; empty: the embedded SeaweedFS.")
    region: str = _setting("us-east-1", "Region that calls to it are signed for.")
    credentials: str = _setting("", "Shared credentials file (AWS format, profile `default`) for it.")
    owner: str = _setting("", "Account that owns buckets which exist there but were not made through us.")


@dataclass(frozen=True, slots=True)
class StsSettings:
    """``[sts]``"""

    oidc_jwks: str = _setting(
        "", "Where issuers' keys are, as `ISSUER=FILE` or `ISSUER=URL`, separated by commas; others are asked."
    )
    saml_recipients: str = _setting("", "Further audiences of SAML assertions that mean us, separated by commas.")
    key_rotation_s: float = _setting(86_400.0, "Seconds for which one key seals session tokens; at least 60.")


@dataclass(frozen=True, slots=True)
class OpsworksSettings:
    """``[opsworks]``"""

    health_interval_s: float = _setting(15.0, "Seconds between two health checks of a Chef server.")


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """``[journal]``"""

    segment_bytes: int = _setting(67_108_864, "Size of one journal segment; they are made ahead and recycled.")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``[log]``"""

    level: str = _setting("info", "`debug`, `info`, `warning` or `error`.")
    format: str = _setting("text", "`text` for people, `json` for programs.")


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration."""

    gateway: GatewaySettings = GatewaySettings()
    delivery: DeliverySettings = DeliverySettings()
    trails: TrailsSettings = TrailsSettings()
    upstream_s3: UpstreamSettings = UpstreamSettings()
    sts: StsSettings = StsSettings()
    opsworks: OpsworksSettings = OpsworksSettings()
    journal: JournalSettings = JournalSettings()
    log: LogSettings = LogSettings()


SECTIONS: Mapping[str, type[Any]] = {
    "gateway": GatewaySettings,
    "delivery": DeliverySettings,
    "trails": TrailsSettings,
    "upstream.s3": UpstreamSettings,
    "sts": StsSettings,
    "opsworks": OpsworksSettings,
    "journal": JournalSettings,
    "log": LogSettings,
}


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a configuration file (None or absent: defaults only) and the environment.

    Raises ConfigError with every problem found.
    """
    problems: list[str] = []
    given = _flatten(_read(path), problems) if path is not None else {}
    given.update(_from_environment(environment, problems))
    sections = {name: _section(name, given, problems) for name in SECTIONS}
    problems += [f"{section}.{name} is not a setting" for section, name in given]
    settings = Settings(
        **{name.replace(".", "_"): section for name, section in sections.items() if section is not None}
    )
    problems += _contradictions(settings)
    if problems:
        raise ConfigError(problems)
    return settings


def names_of(section: type[Any]) -> list[tuple[str, Any, str]]:
    """The settings of one section: name, default, sentence."""
    return [(item.name, item.default, item.metadata["sentence"]) for item in fields(section)]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as problem:
        raise ConfigError(f"{path} does not exist") from problem
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(f"{path}: {problem}") from problem


def _flatten(document: Mapping[str, Any], problems: list[str]) -> dict[tuple[str, str], Any]:
    """TOML tables to (section, name) -> value; ``[upstream.s3]`` is the one section with two words."""
    flat: dict[tuple[str, str], Any] = {}
    tables = {name: table for name, table in document.items() if name != "upstream"}
    upstreams = document.get("upstream", {})
    if isinstance(upstreams, dict):
        tables |= {f"upstream.{name}": table for name, table in upstreams.items()}
    else:
        problems.append("upstream must be a table of tables, such as [upstream.s3]")
    for section, table in tables.items():
        if section not in SECTIONS:
            problems.append(f"[{section}] is not a section")
        elif not isinstance(table, dict):
            problems.append(f"{section} must be a table")
        else:
            flat |= {(section, name): value for name, value in table.items()}
    return flat


def _from_environment(environment: Mapping[str, str], problems: list[str]) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for variable, value in sorted(environment.items()):
        for section in SECTIONS:
            prefix = _ENVIRONMENT_PREFIX + section.replace(".", "_").upper() + "_"
            if not variable.startswith(prefix):
                continue
            name = variable.removeprefix(prefix).lower()
            if name in {item.name for item in fields(SECTIONS[section])}:
                found[section, name] = value
            else:
                problems.append(f"{variable}: {section}.{name} is not a setting")
    return found


def _section(section: str, given: dict[tuple[str, str], Any], problems: list[str]) -> Any:
    kind = SECTIONS[section]
    types = get_type_hints(kind)
    values = {}
    for item in fields(kind):
        value = given.pop((section, item.name), MISSING)
        if value is MISSING:
            continue
        try:
            values[item.name] = _converted(value, types[item.name])
        except ValueError:
            problems.append(f"{section}.{item.name} must be {_described(types[item.name])}, not {value!r}")
    return kind(**values)


def _converted(value: Any, kind: type[Any]) -> Any:
    """A TOML value, or an environment variable's text, as the setting's type. Raises ValueError."""
    fits = {bool: (bool, str), str: (str,), int: (int, str), float: (int, float, str)}[kind]
    if not isinstance(value, fits) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(value)
    if kind is bool and isinstance(value, str):
        if value.lower() not in _BOOLEANS:
            raise ValueError(value)
        return _BOOLEANS[value.lower()]
    return kind(value)


def _described(kind: type[Any]) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}.get(kind, str(get_args(kind)))


def words(text: str) -> list[str]:
    """The parts of a setting that holds several, separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _are_networks(text: str) -> bool:
    try:
        networks(text)
    except ValueError:
        return False
    return True


def _contradictions(settings: Settings) -> list[str]:
    """What each value alone cannot tell."""
    gateway, delivery, upstream = settings.gateway, settings.delivery, settings.upstream_s3
    rules = [
        (0 <= gateway.port <= 65535, "gateway.port must be between 0 and 65535"),
        (delivery.interval_s >= 1, "delivery.interval_s must be at least 1"),
        (1024 <= delivery.max_bytes <= 52_428_800, "delivery.max_bytes must be between 1024 and 52428800"),
        (settings.trails.bucket_policy in {"check", "trust"}, "trails.bucket_policy must be `check` or `trust`"),
        (
            bool(gateway.tls_certificate) == bool(gateway.tls_key),
            "gateway.tls_certificate and gateway.tls_key go together",
        ),
        (
            bool(upstream.endpoint) == bool(upstream.credentials),
            "upstream.s3.endpoint and upstream.s3.credentials go together",
        ),
        (upstream.owner == "" or len(upstream.owner) == 12, "upstream.s3.owner must be an account id of 12 digits"),
        (_are_networks(gateway.trusted_proxies), "gateway.trusted_proxies must be addresses and CIDR blocks"),
        (
            all("=" in entry for entry in words(settings.sts.oidc_jwks)),
            "sts.oidc_jwks must be ISSUER=FILE or ISSUER=URL, separated by commas",
        ),
        (settings.sts.key_rotation_s >= 60, "sts.key_rotation_s must be at least 60"),
        (settings.opsworks.health_interval_s > 0, "opsworks.health_interval_s must be above 0"),
        (settings.journal.segment_bytes >= 1 << 20, "journal.segment_bytes must be at least 1048576"),
        (
            settings.log.level in {"debug", "info", "warning", "error"},
            "log.level must be debug, info, warning or error",
        ),
        (settings.log.format in {"text", "json"}, "log.format must be `text` or `json`"),
    ]
    return [sentence for holds, sentence in rules if not holds]
