"""Settings as values: every name, type, default and meaning stands in this file.

``docs/configuration.md`` is checked against these classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

DEFAULT_PORT = 4566
UPSTREAM_SECTION = "upstream"
"""The first word of the sections that somebody names: ``[upstream.NAME]``."""
ARCHIVE = "archive"
"""The upstream of that name serves no calls: it is a bucket for expired log files."""


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
    metrics: str = _setting(
        "loopback", "Who may read `/_opentrail/metrics`: `loopback` (this machine), `all` or `off`."
    )


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """``[delivery]``"""

    interval_s: float = _setting(60.0, "Seconds after which collected records go into a log file; at least 1.")
    max_bytes: int = _setting(52_428_800, "Bytes of records, before compression, that fill a log file.")
    digest_interval_s: int = _setting(
        3600, "Seconds from one digest file to the next, for trails with log file validation; at least 1."
    )
    digest_key_validity_s: int = _setting(
        2_592_000, "Seconds for which a key pair that signs digest files is valid; a new one is made before that ends."
    )
    event_bus: bool = _setting(False, "Tell accounts' default event buses of events, at the upstream for `events`.")
    event_bus_read_only: bool = _setting(False, "Management events that only read, too.")
    event_bus_source: str = _setting(
        "aws.", "What the source of these events begins with; AWS and MiniStack refuse `aws.` of anybody but AWS."
    )


@dataclass(frozen=True, slots=True)
class TrailsSettings:
    """``[trails]``"""

    bucket_policy: str = _setting(
        "check", "`check`: the bucket's policy must let CloudTrail write; `trust`: not in own buckets."
    )


@dataclass(frozen=True, slots=True)
class LifecycleSettings:
    """``[lifecycle]``"""

    interval_s: float = _setting(
        3600.0, "Seconds from one look at buckets' lifecycle rules to the next (embedded S3); at least 1."
    )


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """``[upstream.NAME]``: a server that speaks AWS and is called for our callers."""

    endpoint: str = _setting("", "URL of the server.")
    services: tuple[str, ...] = _setting(
        (), "Services it is called for (`sqs`, `dynamodb`; `*`: all others); empty: the one called NAME, or all others."
    )
    region: str = _setting("", "Region that calls are signed for; empty: the caller's (S3: us-east-1).")
    credentials: str = _setting(
        "", "Shared credentials file (AWS format) for it; `account`: the caller's account id, as emulators expect it."
    )
    profile: str = _setting("default", "Profile in that file.")
    owner: str = _setting("", "S3: account that owns buckets which exist there but were not made through us.")
    intents: bool = _setting(
        True, "Make the intent of a change durable before it is sent on; false risks lost evidence."
    )
    undecodable: str = _setting("refuse", "Requests that no model describes: `refuse` them, or `forward` them.")
    aliases: tuple[str, ...] = _setting((), "Further URLs it calls itself by, which become ours in its answers.")
    connect_timeout_s: float = _setting(3.0, "Seconds to wait for a connection.")
    read_timeout_s: float = _setting(120.0, "Seconds to wait for the next bytes of an answer.")
    max_connections: int = _setting(256, "Connections at a time.")
    bucket: str = _setting("", "`[upstream.archive]`: bucket that expired log and digest files are moved to.")


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """``[local]``"""

    ministack: str = _setting(
        "auto", "Embedded emulator for services that nothing else serves: `auto` (where installed), `on` or `off`."
    )


@dataclass(frozen=True, slots=True)
class StsSettings:
    """``[sts]``"""

    oidc_jwks: str = _setting(
        "", "Where issuers' keys are, as `ISSUER=FILE` or `ISSUER=URL`, separated by commas; others are asked."
    )
    saml_recipients: str = _setting("", "Further audiences of SAML assertions that mean us, separated by commas.")
    key_rotation_s: float = _setting(86_400.0, "Seconds for which one key seals session tokens; at least 60.")


@dataclass(frozen=True, slots=True)
class SnsSettings:
    """``[sns]``"""

    endpoint: str = _setting("", "URL by which subscribers reach this endpoint; empty: the address it listens on.")
    queue_policy: str = _setting(
        "check", "`check`: an SQS queue's policy must let SNS send; `trust`: not of own queues."
    )
    blocked_networks: str = _setting(
        "169.254.0.0/16,fe80::/10,fd00:ec2::254/128,168.63.129.16/32,100.100.100.200/32",
        "Networks that nothing is sent to over HTTP(S): link-local and clouds' metadata addresses.",
    )
    ca_file: str = _setting("", "Authorities (PEM) that subscribers' and mail servers' certificates may be of, too.")
    smtp: str = _setting(
        "", "Mail server: `smtp://HOST:PORT` (STARTTLS), `smtps://`, `smtp+plain://`; empty: no e-mail."
    )
    smtp_from: str = _setting("", "Sender of mails.")
    smtp_credentials: str = _setting("", "File with the mail server's user on line one and the password on line two.")


@dataclass(frozen=True, slots=True)
class OpsworksSettings:
    """``[opsworks]``"""

    health_interval_s: float = _setting(15.0, "Seconds between two health checks of a Chef server.")
    server_limit: int = _setting(10, "Chef servers that an account may have.")
    manual_backup_limit: int = _setting(50, "Manual backups that an account may have.")
    requests_per_s: float = _setting(
        0.0, "Calls of one operation per second, account and region, in bursts of twice as many; 0: no limit; AWS: 5."
    )
    domain: str = _setting(
        "", "Domain that new servers' endpoints are names under; empty: each has a port of its own on 127.0.0.1."
    )
    front_host: str = _setting("127.0.0.1", "Address where endpoints that are names are served.")
    front_port: int = _setting(0, "Port where endpoints that are names are served; 0: they are not.")
    engine: str = _setting(
        "goiardi", "What Chef servers are: `goiardi`, run by OpenTrail, or `external`, a server of somebody else's."
    )
    external_url: str = _setting("", "External engine: its URL (https), without a path.")
    external_user: str = _setting("pivotal", "External engine: the administrator to sign as.")
    external_key: str = _setting("", "External engine: file with that user's RSA private key (PEM).")
    external_ca: str = _setting("", "External engine: authorities (PEM) to trust for it; empty: the system's.")
    tls: bool = _setting(True, "Serve Chef clients over HTTPS, with certificates of our own authority; false: HTTP.")


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
    lifecycle: LifecycleSettings = LifecycleSettings()
    local: LocalSettings = LocalSettings()
    sts: StsSettings = StsSettings()
    sns: SnsSettings = SnsSettings()
    opsworks: OpsworksSettings = OpsworksSettings()
    journal: JournalSettings = JournalSettings()
    log: LogSettings = LogSettings()
    upstreams: Mapping[str, UpstreamSettings] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def upstream_s3(self) -> UpstreamSettings:
        """The S3 server behind us; without an endpoint it is the embedded one."""
        named = (upstream for upstream in self.upstreams.values() if "s3" in upstream.services)
        return next(named, UpstreamSettings())

    @property
    def upstream_archive(self) -> UpstreamSettings | None:
        """Where expired log and digest files go to instead of being deleted; None: nowhere."""
        return self.upstreams.get(ARCHIVE)

    def is_upstreams(self, service: str) -> bool:
        """Whether an upstream names this service: then it is not served here."""
        return any(service in upstream.services for upstream in self.upstreams.values())


SECTIONS: Mapping[str, type[Any]] = {
    "gateway": GatewaySettings,
    "delivery": DeliverySettings,
    "trails": TrailsSettings,
    "lifecycle": LifecycleSettings,
    "local": LocalSettings,
    "sts": StsSettings,
    "sns": SnsSettings,
    "opsworks": OpsworksSettings,
    "journal": JournalSettings,
    "log": LogSettings,
}


def names_of(section: type[Any]) -> list[tuple[str, Any, str]]:
    """The settings of one section: name, default, sentence."""
    return [(item.name, item.default, item.metadata["sentence"]) for item in fields(section)]
