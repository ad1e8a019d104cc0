"""What settings must fulfil that their types do not say: ranges, choices, and what goes together. Pure."""

import re
from collections import Counter
from math import inf
from urllib.parse import urlsplit

from opentrail.config.settings import ARCHIVE, OpsworksSettings, Settings, SnsSettings, UpstreamSettings
from opentrail.gateway.client_address import networks

_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
ACCOUNT_CREDENTIALS = "account"
"""The value of ``credentials`` that stands for the caller's account id instead of a file."""


def contradictions(settings: Settings) -> list[str]:
    """Every rule that the settings break, a sentence each."""
    gateway, delivery = settings.gateway, settings.delivery
    rules = [
        (0 <= gateway.port <= 65535, "gateway.port must be between 0 and 65535"),
        (delivery.interval_s >= 1, "delivery.interval_s must be at least 1"),
        (1024 <= delivery.max_bytes <= 52_428_800, "delivery.max_bytes must be between 1024 and 52428800"),
        (delivery.digest_interval_s >= 1, "delivery.digest_interval_s must be at least 1"),
        (
            delivery.digest_key_validity_s >= 2 * delivery.digest_interval_s,
            "delivery.digest_key_validity_s must be at least twice delivery.digest_interval_s",
        ),
        (
            not delivery.event_bus or settings.local.ministack != "off" or _has_upstream(settings, "events"),
            "delivery.event_bus needs an upstream that serves `events`",
        ),
        (
            re.fullmatch(r"[A-Za-z0-9._-]{0,128}", delivery.event_bus_source) is not None,
            "delivery.event_bus_source must be at most 128 letters, digits, periods, hyphens and underscores",
        ),
        (settings.lifecycle.interval_s >= 1, "lifecycle.interval_s must be at least 1"),
        (settings.trails.bucket_policy in {"check", "trust"}, "trails.bucket_policy must be `check` or `trust`"),
        (
            bool(gateway.tls_certificate) == bool(gateway.tls_key),
            "gateway.tls_certificate and gateway.tls_key go together",
        ),
        (_are_networks(gateway.trusted_proxies), "gateway.trusted_proxies must be addresses and CIDR blocks"),
        (gateway.metrics in {"loopback", "all", "off"}, "gateway.metrics must be `loopback`, `all` or `off`"),
        (
            all("=" in entry for entry in settings.sts.oidc_jwks.split(",") if entry.strip()),
            "sts.oidc_jwks must be ISSUER=FILE or ISSUER=URL, separated by commas",
        ),
        (settings.sts.key_rotation_s >= 60, "sts.key_rotation_s must be at least 60"),
        *_sns_rules(settings.sns),
        *_opsworks_rules(settings.opsworks),
        (settings.journal.segment_bytes >= 1 << 20, "journal.segment_bytes must be at least 1048576"),
        (settings.local.ministack in {"auto", "on", "off"}, "local.ministack must be `auto`, `on` or `off`"),
        (
            settings.log.level in {"debug", "info", "warning", "error"},
            "log.level must be debug, info, warning or error",
        ),
        (settings.log.format in {"text", "json"}, "log.format must be `text` or `json`"),
    ]
    found = [sentence for holds, sentence in rules if not holds]
    for name, upstream in settings.upstreams.items():
        rules = _archive_rules(upstream, settings) if name == ARCHIVE else _upstream_rules(upstream)
        found += [f"upstream.{name}.{sentence}" for holds, sentence in rules if not holds]
    claims = Counter(service for upstream in settings.upstreams.values() for service in set(upstream.services))
    found += [f"{_quoted(service)} is claimed by {times} upstreams" for service, times in claims.items() if times > 1]
    return found


def _has_upstream(settings: Settings, service: str) -> bool:
    return settings.is_upstreams(service) or settings.is_upstreams("*")


def _upstream_rules(upstream: UpstreamSettings) -> list[tuple[bool, str]]:
    is_s3 = "s3" in upstream.services
    needs_file = is_s3 and upstream.credentials == ACCOUNT_CREDENTIALS
    return [
        (all(_is_url(url) for url in (upstream.endpoint, *upstream.aliases)), "endpoint and aliases must be URLs"),
        (bool(upstream.credentials), "endpoint and credentials go together"),
        (not needs_file, "credentials must name a file: buckets belong to one account of the S3 server"),
        (upstream.owner == "" or _is_account(upstream.owner), "owner must be an account id of 12 digits"),
        (upstream.owner == "" or is_s3, "owner is for the upstream that serves `s3`"),
        (upstream.undecodable in {"refuse", "forward"}, "undecodable must be `refuse` or `forward`"),
        (upstream.connect_timeout_s > 0 and upstream.read_timeout_s > 0, "timeouts must be above 0"),
        (upstream.max_connections > 0, "max_connections must be above 0"),
        (not upstream.bucket, "bucket is for upstream.archive"),
    ]


def _archive_rules(archive: UpstreamSettings, settings: Settings) -> list[tuple[bool, str]]:
    foreign = bool(settings.upstream_s3.endpoint)
    return [
        (_is_url(archive.endpoint), "endpoint must be a URL"),
        (archive.credentials not in ("", ACCOUNT_CREDENTIALS), "credentials must name a file"),
        (bool(archive.bucket), "bucket must name the bucket that expired log files are moved to"),
        (not archive.services, "services: an archive serves no calls"),
        (not foreign, "endpoint: an archive is for the embedded S3 server; that of `upstream.s3` has transitions"),
        (archive.connect_timeout_s > 0 and archive.read_timeout_s > 0, "timeouts must be above 0"),
    ]


def _is_url(text: str) -> bool:
    """Whether a text is an origin that can be called: no path, so that callers' paths go on as they came."""
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - raises ValueError for a port that is none
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname) and url.path in {"", "/"} and not url.query


def _is_account(text: str) -> bool:
    return len(text) == 12 and text.isascii() and text.isdecimal()


def _are_networks(text: str) -> bool:
    try:
        networks(text)
    except ValueError:
        return False
    return True


def _quoted(service: str) -> str:
    return "every other service" if service == "*" else f"service `{service}`"


def _sns_rules(sns: SnsSettings) -> list[tuple[bool, str]]:
    return [
        (not sns.endpoint or _is_url(sns.endpoint), "sns.endpoint must be a URL without a path"),
        (sns.queue_policy in {"check", "trust"}, "sns.queue_policy must be `check` or `trust`"),
        (_are_networks(sns.blocked_networks), "sns.blocked_networks must be addresses and CIDR blocks"),
        (not sns.smtp or _is_mail_server(sns.smtp), "sns.smtp must be smtp://, smtps:// or smtp+plain:// and a host"),
        (bool(sns.smtp) == bool(sns.smtp_from), "sns.smtp and sns.smtp_from go together"),
    ]


def _opsworks_rules(opsworks: OpsworksSettings) -> list[tuple[bool, str]]:
    return [
        (opsworks.health_interval_s > 0, "opsworks.health_interval_s must be above 0"),
        (opsworks.server_limit >= 0, "opsworks.server_limit must be 0 or more"),
        (opsworks.manual_backup_limit >= 0, "opsworks.manual_backup_limit must be 0 or more"),
        (0 <= opsworks.requests_per_s < inf, "opsworks.requests_per_s must be 0 or more"),
        (0 <= opsworks.front_port <= 65535, "opsworks.front_port must be between 0 and 65535"),
        (not opsworks.domain or bool(_DOMAIN.fullmatch(opsworks.domain)), "opsworks.domain must be a domain name"),
        (
            not opsworks.domain or opsworks.front_port > 0,
            "opsworks.domain needs opsworks.front_port: names are served there",
        ),
        (opsworks.engine in {"goiardi", "external"}, "opsworks.engine must be `goiardi` or `external`"),
        (
            opsworks.engine != "external" or (_is_https(opsworks.external_url) and bool(opsworks.external_key)),
            "opsworks.external_url (https, without a path) and opsworks.external_key go with the engine `external`",
        ),
    ]


def _is_https(text: str) -> bool:
    return _is_url(text) and text.startswith("https://")


def _is_mail_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"smtp", "smtps", "smtp+plain"} and bool(parts.hostname)
