"""The background of SNS: takes what is due to its subscribers, until it is delivered, dead or given up.

Rules. All work follows from the stored deliveries, so that any start goes on where the last process ended. One
subscription is served by one thread at a time, in the order of publication; after a failure it pauses until the failed
delivery is due again (20 s at most), so that what waits behind a subscriber that is down keeps its retries. Outcomes
are committed in batches: a kill in between repeats deliveries and loses none.
"""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from opentrail.clock import Clock
from opentrail.errors import IntegrityError, OutboundError
from opentrail.state.database import Database
from opentrail.topics import retries
from opentrail.topics.deliveries import Deliveries, Delivery
from opentrail.topics.message import CONFIRMATION, Links, Message, envelope
from opentrail.topics.parcels import Parcel, Sender, is_sent_raw
from opentrail.topics.signing import SigningKey, Tokens
from opentrail.topics.store import TopicStore
from opentrail.topics.topic import PENDING_DAYS, Subscription, Topic

THREADS = 8
_BATCH = 20
_LONGEST_WAIT_S = 1.0
_LONGEST_PAUSE_S = 20.0
_TIDY_EVERY_S = 300.0
_DAY_S = 86_400.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What deliveries are made with. ``senders`` by protocol."""

    database: Database
    store: TopicStore
    deliveries: Deliveries
    senders: Mapping[str, Sender]
    key: SigningKey
    tokens: Tokens
    links: Links
    clock: Clock


class DeliveryWorker:
    """Delivers from ``start()`` to ``stop()``."""

    def __init__(self, parts: WorkerParts) -> None:
        self._parts = parts
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._busy: set[str] = set()
        self._paused: dict[str, float] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, "sns")
        self._thread = threading.Thread(target=self._run, name="sns-deliveries", daemon=True)
        self._tidied_s = float("-inf")

    def start(self) -> None:
        """Begin, with what the last process left first."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the attempts under way and make no more; what waits is delivered by the next process."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def wake(self) -> None:
        """Look soon; for ``Unit.after_commit``."""
        self._wake.set()

    def run_pass(self) -> None:
        """Begin to deliver what is due to subscriptions that nobody works on."""
        now_s = self._parts.clock.now().timestamp()
        for arn in self._parts.deliveries.due_subscriptions(now_s):
            with self._lock:
                if arn in self._busy or self._paused.get(arn, 0.0) > now_s:
                    continue
                self._busy.add(arn)
            self._pool.submit(self._serve, arn)

    def deliver(self, subscription_arn: str) -> None:
        """Deliver what is due to one subscription now, as one batch."""
        parts, now_s = self._parts, self._parts.clock.now().timestamp()
        with parts.database.read() as connection:
            due = parts.deliveries.due(connection, subscription_arn, now_s, _BATCH)
            subscription = parts.store.subscription(connection, subscription_arn)
            topic = parts.store.topic(connection, subscription.topic_arn) if subscription else None
        finished: list[Delivery] = []
        for delivery in due:
            if self._stopping.is_set():
                break
            if subscription is None or topic is None:
                finished.append(delivery)
                continue
            problem = self._attempt(topic, subscription, delivery)
            if problem is None:
                finished.append(delivery)
                continue
            self._conclude(finished)
            finished = []
            self._failed(topic, subscription, delivery, problem)
            if problem.retryable:
                break
        self._conclude(finished)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self.run_pass()
                self._tidy_if_due()
            except Exception:
                log.exception("a look at the deliveries of SNS failed")
            self._wake.wait(_LONGEST_WAIT_S)

    def _serve(self, arn: str) -> None:
        try:
            self.deliver(arn)
        except Exception:
            log.exception("deliveries to %s failed", arn)
            self._pause(arn, _LONGEST_PAUSE_S)
        finally:
            with self._lock:
                self._busy.discard(arn)
            self._wake.set()

    def _attempt(self, topic: Topic, subscription: Subscription, delivery: Delivery) -> OutboundError | None:
        """Make one attempt; what went wrong, or None."""
        parts = self._parts
        protocol = "sqs" if delivery.dead else subscription.protocol
        try:
            with parts.database.read() as connection:
                message = parts.deliveries.message(connection, delivery.message_id)
            if message is None:
                return None
            sender = parts.senders.get(protocol)
            if sender is None:
                return OutboundError("NotConfigured", f"nothing here delivers by {protocol}")
            sender.send(self._parcel(topic, subscription, delivery, message))
        except OutboundError as problem:
            return problem
        except IntegrityError as problem:
            return OutboundError("Unreadable", str(problem), retryable=False)
        with self._lock:
            self._paused.pop(subscription.arn, None)
        return None

    def _parcel(self, topic: Topic, subscription: Subscription, delivery: Delivery, message: Message) -> Parcel:
        parts = self._parts
        if message.type == CONFIRMATION:
            message = replace(message, token=parts.tokens.make(subscription.arn, subscription.created_s))
        raw = is_sent_raw(subscription, message)
        text = message.body_for(subscription.protocol)
        if not raw:
            version = topic.signature_version
            sign = parts.key.sign
            text = envelope(message, subscription.protocol, subscription.arn, parts.links, sign, version)
        return Parcel(
            endpoint=(subscription.dead_letter_arn or "") if delivery.dead else subscription.endpoint,
            subscription_arn=subscription.arn,
            message=message,
            text=text,
            raw=raw,
            subscribe_url=parts.links.subscribe(message.topic_arn, message.token),
            unsubscribe_url=parts.links.unsubscribe(subscription.arn),
        )

    def _failed(self, topic: Topic, subscription: Subscription, delivery: Delivery, problem: OutboundError) -> None:
        """Write down what follows from a failure: another attempt, the dead-letter queue, or the end."""
        deliveries, now_s = self._parts.deliveries, self._parts.clock.now().timestamp()
        delay_s = _delay_s(topic, subscription, delivery) if problem.retryable else None
        with self._parts.database.unit() as unit:
            if delay_s is not None:
                deliveries.again(unit, delivery, now_s + delay_s)
            elif subscription.dead_letter_arn and not delivery.dead:
                deliveries.bury(unit, delivery, now_s)
            else:
                deliveries.done(unit, [delivery])
        if delay_s is not None:
            log.info("%s: not delivered, tried again in %.0f s: %s", subscription.arn, delay_s, problem)
            self._pause(subscription.arn, min(delay_s, _LONGEST_PAUSE_S))
        elif subscription.dead_letter_arn and not delivery.dead:
            log.warning("%s: %s goes to the dead-letter queue: %s", subscription.arn, delivery.message_id, problem)
        else:
            log.error("%s: %s is given up: %s", subscription.arn, delivery.message_id, problem)

    def _pause(self, arn: str, delay_s: float) -> None:
        with self._lock:
            self._paused[arn] = self._parts.clock.now().timestamp() + delay_s

    def _conclude(self, finished: list[Delivery]) -> None:
        if finished:
            with self._parts.database.unit() as unit:
                self._parts.deliveries.done(unit, finished)

    def _tidy_if_due(self) -> None:
        """Forget subscriptions that nobody confirmed in time, and messages that nobody waits for."""
        parts, now_s = self._parts, self._parts.clock.now().timestamp()
        if self._parts.clock.monotonic() - self._tidied_s < _TIDY_EVERY_S:
            return
        self._tidied_s = self._parts.clock.monotonic()
        with parts.database.unit() as unit:
            for arn in parts.store.pending_before(unit.connection, now_s - PENDING_DAYS * _DAY_S):
                parts.store.remove_subscription(unit, arn)
            parts.deliveries.forget_orphans(unit)
        with self._lock:
            self._paused = {arn: until_s for arn, until_s in self._paused.items() if until_s > now_s}


def _delay_s(topic: Topic, subscription: Subscription, delivery: Delivery) -> float | None:
    protocol = "sqs" if delivery.dead else subscription.protocol
    policies = topic.attributes.get("DeliveryPolicy"), subscription.attributes.get("DeliveryPolicy")
    return retries.effective(protocol, *policies).delay_s(delivery.failures + 1)
