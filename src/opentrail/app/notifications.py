"""SNS put together: ours, or the way to an upstream's where the configuration names one for ``sns``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from opentrail.app.core import Core
from opentrail.app.resources import topic_finder
from opentrail.app.upstream_calls import UpstreamCalls
from opentrail.config import Settings, SnsSettings, words
from opentrail.errors import ConfigError
from opentrail.services.sns import OPEN_TO_ALL, UNSIGNED, UNSUPPORTED, SnsService
from opentrail.services.sns.parts import Parts
from opentrail.state.database import Unit
from opentrail.topics.deliveries import Deliveries
from opentrail.topics.mail import MailSender, MailServer
from opentrail.topics.message import PAGES, Links
from opentrail.topics.names import parse_topic_arn
from opentrail.topics.parcels import Sender
from opentrail.topics.publishing import Publishing
from opentrail.topics.queues import QueuePolicyMode, QueueSender
from opentrail.topics.signing import open_keys
from opentrail.topics.store import TopicStore
from opentrail.topics.web import Limits, WebSender, networks
from opentrail.topics.worker import DeliveryWorker, WorkerParts
from opentrail.trails.notification import Notification, Publisher

CLOUDTRAIL = "cloudtrail.amazonaws.com"
_SERVICE = "sns"
_SMTP_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
_SECURITY = {"smtp": "starttls", "smtps": "tls", "smtp+plain": "none"}


@dataclass(frozen=True, slots=True)
class Notifications:
    """How trails' topics are told, what delivers (None: an upstream does), and the pages that subscribers need."""

    publisher: Publisher
    worker: DeliveryWorker | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to deliver."""
        if self.worker is not None:
            self.worker.start()

    def stop(self) -> None:
        """End the attempts under way."""
        if self.worker is not None:
            self.worker.stop()


class OwnTopics:
    """Publishes to our own topics, in the unit that it is given."""

    def __init__(self, publishing: Publishing) -> None:
        self._publishing = publishing

    def publish(self, unit: Unit, notification: Notification) -> None:
        """Raises OutboundError with SNS's code."""
        arn, text = notification.topic_arn, notification.text
        self._publishing.publish_as_service(unit, arn, text, service=CLOUDTRAIL, source_arn=notification.trail_arn)


class UpstreamTopics:
    """Publishes to an upstream's topics, as the trail's account; the unit is not touched before that is done."""

    def __init__(self, calls: UpstreamCalls) -> None:
        self._calls = calls

    def publish(self, unit: Unit, notification: Notification) -> None:  # noqa: ARG002 - the port's form
        """Raises OutboundError with SNS's code."""
        account_id = notification.trail_arn.split(":")[4]
        self._calls.publish(parse_topic_arn(notification.topic_arn), account_id, notification.text)


def open_notifications(core: Core, calls: UpstreamCalls, url: str) -> Notifications:
    """Serve ``sns``, unless an upstream does. ``url``: where our endpoint answers. Nothing is delivered before
    ``start()``.

    Raises ConfigError where files of ``[sns]`` cannot be read.
    """
    world, settings = core.world, core.world.settings
    if settings.is_upstreams(_SERVICE):
        return Notifications(UpstreamTopics(calls))
    store, deliveries = TopicStore(core.database), Deliveries(core.database, core.seal)
    key, tokens = open_keys(core.database, core.seal, world.clock, world.entropy)
    senders = _senders(
        settings, url, QueueSender(calls.sqs, QueuePolicyMode(settings.sns.queue_policy), _owners(store))
    )
    worker = DeliveryWorker(
        WorkerParts(
            database=core.database,
            store=store,
            deliveries=deliveries,
            senders=senders,
            key=key,
            tokens=tokens,
            links=Links((settings.sns.endpoint or url).rstrip("/"), key.name),
            clock=world.clock,
        )
    )
    publishing = Publishing(store, deliveries, world.clock, world.entropy, worker.wake)
    parts = Parts(
        store=store,
        publishing=publishing,
        tokens=tokens,
        clock=world.clock,
        entropy=world.entropy,
        protocols=frozenset(senders),
        authorise=core.authorise,
    )
    core.host(_SERVICE, SnsService(parts), UNSUPPORTED, open_to_all=OPEN_TO_ALL, unsigned=UNSIGNED)
    core.finders["topic"] = topic_finder(store)
    return Notifications(OwnTopics(publishing), worker, {f"{PAGES}{key.name}": key.certificate})


def _owners(store: TopicStore) -> Callable[[str], str | None]:
    """Which account a subscription is of."""

    def owner_of(subscription_arn: str) -> str | None:
        with store.database.read() as connection:
            found = store.subscription(connection, subscription_arn)
        return found.owner if found else None

    return owner_of


def _senders(settings: Settings, url: str, queues: QueueSender) -> Mapping[str, Sender]:
    sns, gateway = settings.sns, settings.gateway
    hosts = frozenset(host.lower() for host in ("localhost", gateway.host, *words(gateway.hosts)))
    limits = Limits(networks(words(sns.blocked_networks)), urlsplit(url).port or 0, hosts)
    ca_file = sns.ca_file or None
    try:
        web = WebSender(limits, ca_file=ca_file)
        senders: dict[str, Sender] = {"sqs": queues, "http": web, "https": web}
        if sns.smtp:
            server = _mail_server(sns)
            senders["email"] = MailSender(server, as_json=False, ca_file=ca_file)
            senders["email-json"] = MailSender(server, as_json=True, ca_file=ca_file)
    except OSError as problem:
        raise ConfigError(f"sns: {problem.filename or sns.ca_file} cannot be read") from problem
    return senders


def _mail_server(sns: SnsSettings) -> MailServer:
    parts = urlsplit(sns.smtp)
    user, password = "", ""
    if sns.smtp_credentials:
        lines = Path(sns.smtp_credentials).expanduser().read_text().splitlines()
        if len(lines) < 2:
            raise ConfigError(f"{sns.smtp_credentials} does not hold a user and a password, each on its line")
        user, password = lines[0].strip(), lines[1]
    port = parts.port or _SMTP_PORTS[parts.scheme]
    return MailServer(parts.hostname or "", port, _SECURITY[parts.scheme], sns.smtp_from, user, password)
