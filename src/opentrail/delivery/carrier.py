"""Plan, put, mark: how one trail's closed windows become objects in its bucket, exactly once.

1. *Plan.* One transaction writes down a plan per partition of the window: key, sequence range, compression.
2. *Put.* The log file is made from the journal and put only where the key is free. If it is taken, the content there is
   compared: equal means that an earlier attempt succeeded; different is an IntegrityError, and nothing is overwritten.
3. *Mark.* One transaction marks the plan, writes the trail's delivery status and what its topic and its log group are
   still to get, hands the file over to the notary where log file validation is on and, with the window's last plan,
   moves the cursor.

Stopping between any two steps, at any moment, loses nothing and repeats nothing: the next attempt begins with the plans
that are not marked.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from opentrail.clock import Clock, Entropy
from opentrail.delivery import object_keys
from opentrail.delivery.announcer import Announcer
from opentrail.delivery.chronicler import stretch_of
from opentrail.delivery.deposits import Deposit, Deposits
from opentrail.delivery.digests import Digests
from opentrail.delivery.lane import Lane
from opentrail.delivery.logfile import Compression, LogFile, LogFileWriter
from opentrail.delivery.object_keys import LogFileKey
from opentrail.delivery.plans import Plan, Plans
from opentrail.delivery.stretches import Stretches
from opentrail.delivery.window import Tally, Window
from opentrail.errors import IntegrityError, OutboundError
from opentrail.journal import Journal, cursors
from opentrail.state.database import Database, Unit
from opentrail.trails.bucket_access import BucketPolicyMode
from opentrail.trails.store import Trails
from opentrail.trails.trail import Trail

READ_BYTES = 512 * 1024
"""How much of the journal is looked at in one go: small enough to stay in the processor's cache (measured)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOptions:
    """How log files are made: a window's longest age, a file's largest content before compression, and so on.

    ``workers`` bounds how many trails deliver at the same time. ``accept_damage`` delivers what is left of a plan some
    of whose records were lost with a damaged part of the journal, after the operator accepted that damage.
    """

    interval_s: float = 60.0
    max_bytes: int = 52_428_800
    bucket_policy: BucketPolicyMode = BucketPolicyMode.CHECK
    compression: Compression = field(default_factory=Compression)
    workers: int = 8
    accept_damage: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """What carrying log files needs; ``advance`` does it for one trail. ``stopping`` is asked between two files."""

    journal: Journal
    database: Database
    trails: Trails
    plans: Plans
    digests: Digests
    deposits: Deposits
    clock: Clock
    entropy: Entropy
    options: DeliveryOptions
    stopping: Callable[[], bool]
    announcer: Announcer
    stretches: Stretches

    def advance(self, lane: Lane) -> None:
        """Deliver every closed window of a trail, oldest first.

        Raises OutboundError where the bucket refuses or cannot be reached, IntegrityError where the key holds something
        else or the journal no longer holds what was planned. Either way what is planned stays planned.
        """
        while (trail := self.trails.snapshot.get(lane.trail_id)) is not None and not self.stopping():
            if not lane.pending:
                window = lane.first_closed()
                if window is None:
                    return
                self._plan(lane, trail, window)
            for plan in tuple(lane.pending):
                if self.stopping():
                    return
                self._carry(lane, trail, plan)

    def _plan(self, lane: Lane, trail: Trail, window: Window) -> None:
        now = self.clock.now()
        with self.database.unit() as unit:
            for partition, tally in sorted(window.tallies.items()):
                last = self.plans.last_stamp(unit, trail.trail_id, partition)
                stamp = max(now, last or now).replace(second=0, microsecond=0)
                self.plans.add(unit, self._plan_of(trail, partition, tally, now, stamp))
        lane.planned(self.plans.pending(trail.trail_id), window.through_sequence)

    def _plan_of(self, trail: Trail, partition: str, tally: Tally, now: datetime, stamp: datetime) -> Plan:
        account_id, _, region = partition.partition("/")
        unique = self.entropy.text(object_keys.UNIQUE_LENGTH, object_keys.UNIQUE_ALPHABET)
        return Plan(
            trail_id=trail.trail_id,
            partition=partition,
            after_sequence=tally.first_sequence - 1,
            through_sequence=tally.last_sequence,
            record_count=tally.record_count,
            size_bytes=tally.size_bytes,
            oldest_event_s=tally.oldest_event_s,
            newest_event_s=tally.newest_event_s,
            bucket=trail.bucket,
            key=str(LogFileKey(trail.log_root(account_id), region, stamp, unique)),
            stamp=stamp,
            compressor=self.options.compression.compressor,
            level=self.options.compression.level,
            planned_at=now,
        )

    def _carry(self, lane: Lane, trail: Trail, plan: Plan) -> None:
        try:
            self.deposits.check_access(trail, plan.bucket, plan.key)
            file = self._made(plan)
            if file is None:
                self._drop(lane, plan)
                return
            deposit = Deposit(plan.bucket, plan.key, file.body, file.sha256, file.size_bytes)
            etag = self.deposits.put(trail, deposit)
        except OutboundError:
            self._follow_trail(lane, trail, plan)
            raise
        self._mark(lane, plan, file, etag)

    def _made(self, plan: Plan) -> LogFile | None:
        """The plan's log file, from the journal; None where accepted damage left none of its records."""
        writer = LogFileWriter(plan.compression)
        after = plan.after_sequence
        found = 0
        while after < plan.through_sequence:
            frames = self.journal.read(after, max_bytes=READ_BYTES)
            if not frames:
                break
            records = [
                frame.payload
                for frame in frames
                if frame.partition == plan.partition
                and plan.trail_id in frame.routes
                and frame.sequence <= plan.through_sequence
            ]
            writer.add(records)
            found += len(records)
            after = frames[-1].sequence
        if found != plan.record_count:
            lost = f"the journal holds {found} of the {plan.record_count} records planned for {plan.key}"
            if not self.options.accept_damage:
                raise IntegrityError(lost)
            log.error("%s; delivering what is left, as the damage was accepted", lost)
        return writer.finish() if found else None

    def _mark(self, lane: Lane, plan: Plan, file: LogFile, etag: str) -> None:
        now = self.clock.now()
        status = self.trails.delivery_status(plan.trail_id)
        trail = self.trails.snapshot.get(plan.trail_id)
        with self.database.unit() as unit:
            if trail is not None and trail.sns_topic_arn is not None:
                self.announcer.announcements.add(unit, trail, plan.bucket, plan.key, now)
                unit.after_commit(self.announcer.wake)
            if trail is not None and trail.log_group_arn is not None:
                self.stretches.add(unit, stretch_of(plan, now))
            self.plans.mark(unit, plan, marked_at=now, etag=etag, sha256=file.sha256)
            if self.trails.is_validated(unit, plan.trail_id):
                self.digests.delivered(unit, plan, sha256=file.sha256, marked_at=now)
            self.trails.put_delivery_status(unit, plan.trail_id, status.delivered(now))
            self._move_cursor(unit, lane, plan)
        lane.marked(plan)

    def _drop(self, lane: Lane, plan: Plan) -> None:
        with self.database.unit() as unit:
            self.plans.drop(unit, [plan])
            self._move_cursor(unit, lane, plan)
        lane.marked(plan)

    def _move_cursor(self, unit: Unit, lane: Lane, plan: Plan) -> None:
        if [other.plan_id for other in lane.pending] == [plan.plan_id]:
            cursors.put(unit, cursor_name(lane.trail_id), lane.planned_through)

    def _follow_trail(self, lane: Lane, trail: Trail, plan: Plan) -> None:
        """After a failed put: where the trail has another bucket or prefix by now, the next attempt goes there."""
        parts = object_keys.parse(plan.key)
        if parts is None:
            return
        root = trail.log_root(parts.account_id)
        if (trail.bucket, root) == (plan.bucket, parts.root):
            return
        moved = replace(plan, bucket=trail.bucket, key=str(replace(parts, root=root)))
        with self.database.unit() as unit:
            self.plans.readdress(unit, plan, bucket=moved.bucket, key=moved.key)
        lane.readdressed(moved)


def cursor_name(trail_id: str) -> str:
    """The name of a trail's cursor in the journal."""
    return f"trail:{trail_id}"
