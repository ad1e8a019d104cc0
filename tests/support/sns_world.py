"""SNS as boto3 sees it, without a socket: real protocol, policies, handlers and deliveries; senders take notes."""

from dataclasses import dataclass, field
from functools import cache

from opentrail.app.resources import topic_finder
from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import protocol_of
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.errors import OutboundError
from opentrail.events.call import Call
from opentrail.gateway.authorise import authorise
from opentrail.services.operation import handlers_of
from opentrail.services.sns import OPEN_TO_ALL, SnsService
from opentrail.services.sns.parts import Parts
from opentrail.state.database import Database
from opentrail.state.sealing import Seal
from opentrail.topics.deliveries import Deliveries
from opentrail.topics.message import Links
from opentrail.topics.parcels import Parcel, Sender
from opentrail.topics.publishing import Publishing
from opentrail.topics.signing import SigningKey, Tokens, open_keys
from opentrail.topics.store import TopicStore
from opentrail.topics.worker import DeliveryWorker, WorkerParts
from tests.support.iam_world import IamWorld

PROTOCOLS = ("sqs", "http", "https", "email", "email-json")


@cache
def _keys() -> tuple[SigningKey, Tokens]:
    """One pair for all worlds: making it is slow."""
    database = Database(None)
    database.create_tables()
    entropy = SystemEntropy()
    return open_keys(database, Seal(b"k" * 32, entropy), SystemClock(), entropy)


@dataclass
class Notebook:
    """A sender that keeps what it is given, or raises ``problem``."""

    parcels: list[Parcel] = field(default_factory=list)
    problem: OutboundError | None = None

    def send(self, parcel: Parcel) -> None:
        """Note a parcel down."""
        if self.problem is not None:
            raise self.problem
        self.parcels.append(parcel)


class SnsWorld(IamWorld):
    """SNS over an in-memory database; ``deliver_all`` does what the worker's threads would."""

    def __init__(self, protocols: tuple[str, ...] = PROTOCOLS) -> None:
        super().__init__()
        entropy = SystemEntropy()
        seal = Seal(b"k" * 32, entropy)
        self.store, self.deliveries = TopicStore(self.database), Deliveries(self.database, seal)
        self.key, self.tokens = _keys()
        self.senders = {name: Notebook() for name in protocols}
        senders: dict[str, Sender] = dict(self.senders)
        self.links = Links("http://127.0.0.1:4566", self.key.name)
        self.worker = DeliveryWorker(
            WorkerParts(
                database=self.database,
                store=self.store,
                deliveries=self.deliveries,
                senders=senders,
                key=self.key,
                tokens=self.tokens,
                links=self.links,
                clock=self.clock,
            )
        )
        self.publishing = Publishing(self.store, self.deliveries, self.clock, entropy, self.worker.wake)
        parts = Parts(
            store=self.store,
            publishing=self.publishing,
            tokens=self.tokens,
            clock=self.clock,
            entropy=entropy,
            protocols=frozenset(protocols),
            authorise=self._ask,
        )
        self.service = Catalogue().service("sns")
        self.wire = protocol_of(self.service)
        self.handlers = handlers_of(SnsService(parts))
        self._find = topic_finder(self.store)

    def authorise(self, call: Call) -> None:
        """As the dispatcher does."""
        if call.event_name not in OPEN_TO_ALL:
            self._ask(call)

    def _ask(self, call: Call) -> None:
        authorise(call, self.identities.directory, find=lambda *named: self._find(*named))

    def deliver_all(self) -> None:
        """Make every delivery that is due now, in one batch for each subscription."""
        for arn in self.deliveries.due_subscriptions(self.clock.now().timestamp()):
            self.worker.deliver(arn)

    def sent(self, protocol: str = "sqs") -> list[Parcel]:
        """Take what a protocol's sender was given."""
        taken = self.senders[protocol].parcels[:]
        self.senders[protocol].parcels.clear()
        return taken

    def waiting(self) -> int:
        """How many deliveries there are."""
        with self.database.read() as connection:
            return sum(sum(self.deliveries.waiting(connection, topic).values()) for topic in self.every_topic())

    def every_topic(self) -> list[str]:
        """The ARN of every topic in us-east-1 of the two accounts."""
        with self.database.read() as connection:
            return [
                arn
                for account in ("123456789012", "210987654321")
                for _, arn in self.store.topics_of(connection, account, "us-east-1", 0)
            ]
