"""What somebody may do to a bucket, one test each: the checker names what happened, and nothing else."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from opentrail.aws.arn import parse_arn
from opentrail.errors import OutboundError
from opentrail.verify.digest import LogEntry
from opentrail.verify.findings import Kind, Location, NoteKind
from opentrail.verify.keys import KeyRing, read_key_ring
from opentrail.verify.log_files import check_log
from opentrail.verify.report import Report
from opentrail.verify.validation import Question, validate
from tests.support.digest_world import ACCOUNT, BUCKET, EPOCH, HOUR, KeyPair, MemoryReader, Trail, key_pair

MINUTES = timedelta(minutes=10)
ARN = parse_arn(f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/all_of.it")


class Keys:
    """The region's public keys."""

    def __init__(self, *pairs: KeyPair) -> None:
        self._ring = read_key_ring([pair.entry for pair in pairs])

    def ring(self, *_: object) -> KeyRing:
        return self._ring


@pytest.fixture
def reader() -> MemoryReader:
    return MemoryReader()


@pytest.fixture
def trail(reader: MemoryReader) -> Trail:
    """Six hours of a trail, two log files in each."""
    return Trail(reader.objects).hours(6)


def report_on(reader: MemoryReader, of: Trail, /, *pairs: KeyPair, **question: Any) -> Report:
    """What the checker says ten minutes after the newest digest file."""
    return validate(
        Question(**({"bucket": BUCKET} | question)),
        reader,
        Keys(*(pairs or (of.key,))),
        now=of.now + MINUTES,
        secret=b"s" * 32,
        workers=4,
        sleep=lambda _: None,
    )


def found(report: Report) -> list[tuple[Kind, str]]:
    """The findings as (kind, subject)."""
    return sorted((finding.kind, finding.subject) for finding in report.findings)


def kinds_of_notes(report: Report) -> list[NoteKind]:
    return [note.kind for note in report.notes]


def one(kind: Kind, trail: Trail, key: str) -> list[tuple[Kind, str]]:
    return [(kind, trail.location(key))]


def flipped(body: bytes) -> bytes:
    """One bit of the content changed, in proper gzip."""
    content = bytearray(gzip.decompress(body))
    content[len(content) // 2] ^= 1
    return gzip.compress(bytes(content), mtime=0)


def test_what_was_left_alone_is_whole(reader: MemoryReader, trail: Trail) -> None:
    """Every digest and log file counts as valid, with and without the trail's ARN; empty hours are fine."""
    trail.hours(2, logs=0)
    for question in ({}, {"trail": ARN}, {"prefix": "AWSLogs"}, {"account_id": ACCOUNT, "region": "eu-west-1"}):
        report = report_on(reader, trail, **question)
        assert report.whole
        assert not report.notes
        [tally] = report.chains
        assert (tally.digests, tally.digests_valid, tally.logs, tally.logs_valid) == (8, 8, 12, 12)
        assert (tally.first, tally.last) == (trail.now - 8 * HOUR, trail.now)


def test_a_flipped_bit_in_a_log_file_is_seen(reader: MemoryReader, trail: Trail) -> None:
    """The hash is of the content, so even proper gzip around other records is found out."""
    trail.rewrite(trail.logs[5], flipped)
    report = report_on(reader, trail)
    assert found(report) == one(Kind.LOG_DIFFERS, trail, trail.logs[5])
    assert report.chains[0].logs_valid == 11


def test_other_compression_of_the_same_content_is_the_same_log_file(reader: MemoryReader, trail: Trail) -> None:
    """Digests hash what is inside: an archive may compress again."""
    trail.rewrite(trail.logs[5], lambda body: gzip.compress(gzip.decompress(body), 1, mtime=7))
    assert report_on(reader, trail).whole


def test_a_damaged_byte_in_the_gzip_of_a_log_file_is_seen(reader: MemoryReader, trail: Trail) -> None:
    """Not gzip any more, or with a wrong checksum."""
    trail.rewrite(trail.logs[5], lambda body: b"\x00" + body[1:])
    trail.rewrite(trail.logs[6], lambda body: body[:-8] + bytes([body[-8] ^ 1]) + body[-7:])
    assert found(report_on(reader, trail)) == sorted(
        (Kind.LOG_MALFORMED, trail.location(key)) for key in trail.logs[5:7]
    )


def test_a_deleted_log_file_is_named(reader: MemoryReader, trail: Trail) -> None:
    """The digest that lists it remembers."""
    trail.delete(trail.logs[3])
    assert found(report_on(reader, trail)) == one(Kind.LOG_MISSING, trail, trail.logs[3])


def test_a_cut_log_file_is_seen(reader: MemoryReader, trail: Trail) -> None:
    """Its end is missing."""
    trail.rewrite(trail.logs[3], lambda body: body[:-9])
    assert found(report_on(reader, trail)) == one(Kind.LOG_MALFORMED, trail, trail.logs[3])


@pytest.mark.parametrize(
    "appended", [b"x", b"\x00" * 700, gzip.compress(b'{"Records":[]}', mtime=0), b"\x1f", b"\x1f\x8b"]
)
def test_whatever_is_appended_to_a_log_file_is_seen(reader: MemoryReader, trail: Trail, appended: bytes) -> None:
    """Bytes or a second gzip member behind the delivered one, which lenient readers skip or take for records."""
    trail.rewrite(trail.logs[3], lambda body: body + appended)
    assert found(report_on(reader, trail)) == one(Kind.LOG_TRAILING_DATA, trail, trail.logs[3])


def test_a_log_file_that_inflates_without_end_is_not_followed() -> None:
    """More content than a log file may have ends the reading, before the rest is even asked for."""
    body = gzip.compress(bytes(50_000_000))
    asked: list[bytes] = []

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body), 1000):
            asked.append(body[at : at + 1000])
            yield asked[-1]

    entry = LogEntry(Location(BUCKET, "bomb"), "0" * 64)
    finding = check_log(entry, EPOCH, pieces(), max_bytes=1_000_000)
    assert finding is not None
    assert finding.kind is Kind.LOG_TOO_LARGE
    assert len(asked) < len(body) / 1000 / 10


def test_a_flipped_bit_in_a_digest_file_is_seen(reader: MemoryReader, trail: Trail) -> None:
    """Its signature no longer fits; the chain around it stays provable, its own log files do not."""
    entry = b'"hashValue":"'

    def change(body: bytes) -> bytes:
        content = bytearray(gzip.decompress(body))
        at = content.index(entry) + len(entry)
        content[at] = ord("1") if content[at] == ord("0") else ord("0")
        return gzip.compress(bytes(content))

    trail.rewrite(trail.digests[2], change)
    report = report_on(reader, trail)
    assert found(report) == one(Kind.SIGNATURE_INVALID, trail, trail.digests[2])
    assert (report.chains[0].digests_valid, report.chains[0].logs) == (5, 10)
    trail.rewrite(trail.digests[2], lambda body: gzip.compress(gzip.decompress(body)[:-1]))
    assert found(report_on(reader, trail)) == one(Kind.DIGEST_MALFORMED, trail, trail.digests[2])


def test_an_entry_taken_out_of_a_digest_file_is_seen(reader: MemoryReader, trail: Trail) -> None:
    """Deleting a log file and its mention: the content still reads well, the signature does not fit."""
    reader.objects[BUCKET, trail.digests[2]] = replace(
        reader.objects[BUCKET, trail.digests[2]], body=_with(reader, trail.digests[2], logFiles=[])
    )
    assert found(report_on(reader, trail)) == one(Kind.SIGNATURE_INVALID, trail, trail.digests[2])


def _with(reader: MemoryReader, key: str, **changes: Any) -> bytes:
    document = json.loads(gzip.decompress(reader.objects[BUCKET, key].body))
    return gzip.compress(json.dumps(document | changes, separators=(",", ":")).encode())


def test_bytes_behind_a_digest_file_are_seen(reader: MemoryReader, trail: Trail) -> None:
    """One gzip member, as for log files."""
    trail.rewrite(trail.digests[2], lambda body: body + b"x")
    assert found(report_on(reader, trail)) == one(Kind.DIGEST_TRAILING_DATA, trail, trail.digests[2])


def test_a_digest_file_without_its_signature_is_seen(reader: MemoryReader, trail: Trail) -> None:
    """Copies that lose metadata lose the proof."""
    losses: list[dict[str, str]] = [
        {},
        {"signature": "zz", "signature-algorithm": "SHA256withRSA"},
        {"signature": "00", "signature-algorithm": "MD5"},
    ]
    for key, metadata in zip(trail.digests[1:4], losses, strict=True):
        reader.objects[BUCKET, key] = replace(reader.objects[BUCKET, key], metadata=metadata)
    assert found(report_on(reader, trail)) == sorted(
        (Kind.SIGNATURE_MISSING, trail.location(key)) for key in trail.digests[1:4]
    )


def test_one_deleted_digest_file_is_named(reader: MemoryReader, trail: Trail) -> None:
    """Its successor signed its name."""
    trail.delete(trail.digests[2])
    report = report_on(reader, trail)
    assert found(report) == one(Kind.DIGEST_MISSING, trail, trail.digests[2])
    assert trail.location(trail.digests[3]) in report.findings[0].sentence
    assert kinds_of_notes(report) == [NoteKind.LOGS_UNPROVEN]


@pytest.mark.parametrize("count", [2, 3])
def test_a_run_of_deleted_digest_files_is_named_and_measured(reader: MemoryReader, trail: Trail, count: int) -> None:
    """The newest of them by name, the others by the hole they leave."""
    trail.delete(*trail.digests[2 : 2 + count])
    report = report_on(reader, trail)
    missing, run = sorted(report.findings, key=lambda finding: finding.kind)
    assert (missing.kind, missing.subject) == (Kind.DIGEST_MISSING, trail.location(trail.digests[1 + count]))
    assert (run.kind, run.subject) == (Kind.DIGESTS_MISSING, trail.location(trail.digests[1]))
    assert f"about {count - 1} more" in run.sentence


def test_a_digest_file_deleted_before_a_changed_one_is_noticed(reader: MemoryReader, trail: Trail) -> None:
    """Nobody trustworthy names it; the hole does."""
    reader.objects[BUCKET, trail.digests[3]] = replace(reader.objects[BUCKET, trail.digests[3]], metadata={})
    trail.delete(trail.digests[2])
    assert found(report_on(reader, trail)) == [
        (Kind.DIGESTS_MISSING, trail.location(trail.digests[1])),
        (Kind.SIGNATURE_MISSING, trail.location(trail.digests[3])),
    ]


def test_a_chain_without_its_beginning_is_truncated(reader: MemoryReader, trail: Trail) -> None:
    """What a lifecycle rule leaves: said so once, not once for each digest that expired."""
    trail.delete(*trail.digests[:3])
    trail.delete(*trail.logs[:6])
    assert found(report_on(reader, trail)) == one(Kind.CHAIN_TRUNCATED, trail, trail.digests[2])


def test_what_is_asked_for_after_the_truncation_is_whole(reader: MemoryReader, trail: Trail) -> None:
    """With a start time that the remaining digests reach."""
    trail.delete(*trail.digests[:2])
    assert report_on(reader, trail, start=trail.now - 2.5 * HOUR).whole


def test_a_digest_file_missing_at_the_start_of_what_is_asked_for_is_named(reader: MemoryReader, trail: Trail) -> None:
    """Older ones exist, so it is one that is missing and no truncation, though nothing older is looked at."""
    trail.delete(trail.digests[2])
    assert found(report_on(reader, trail, start=trail.now - 3.5 * HOUR)) == one(
        Kind.DIGEST_MISSING, trail, trail.digests[2]
    )
    assert report_on(reader, trail, start=trail.now - 2.5 * HOUR).whole


def test_deleted_newest_digest_files_are_noticed(reader: MemoryReader, trail: Trail) -> None:
    """Nothing names them; the time that nothing covers tells."""
    end = trail.now
    trail.delete(*trail.digests[-3:])
    report = report_on(reader, trail)
    assert found(report) == one(Kind.CHAIN_ENDS_EARLY, trail, trail.digests[2])
    assert report.findings[0].when == end - 3 * HOUR
    assert kinds_of_notes(report) == [NoteKind.LOGS_UNPROVEN]
    assert report_on(reader, trail, end=end - 3 * HOUR).whole


def test_two_exchanged_digest_files_are_both_named(reader: MemoryReader, trail: Trail) -> None:
    """Each says where it belongs."""
    first, second = ((BUCKET, key) for key in trail.digests[2:4])
    reader.objects[first], reader.objects[second] = reader.objects[second], reader.objects[first]
    assert found(report_on(reader, trail)) == sorted(
        (Kind.DIGEST_MOVED, trail.location(key)) for key in trail.digests[2:4]
    )


def test_a_digest_file_copied_to_another_hour_is_named(reader: MemoryReader, trail: Trail) -> None:
    """A copy in the chain's own folder, to fill a hole or to confuse."""
    copy = trail.digest_key(trail.now - 2.5 * HOUR)
    reader.objects[BUCKET, copy] = reader.objects[BUCKET, trail.digests[2]]
    assert found(report_on(reader, trail)) == one(Kind.DIGEST_MOVED, trail, copy)


def test_a_digest_file_of_another_bucket_is_named(reader: MemoryReader, trail: Trail) -> None:
    """Bucket and key are both part of the place."""
    for (bucket, key), stored in list(reader.objects.items()):
        reader.objects["copy", key] = stored
        assert bucket == BUCKET
    report = report_on(reader, trail, bucket="copy")
    assert {finding.kind for finding in report.findings} == {Kind.DIGEST_MOVED}
    assert len(report.findings) == 6


def test_a_stranger_among_the_digest_files_is_noted(reader: MemoryReader, trail: Trail) -> None:
    """Nothing that counts is wrong, so it is a note; CreateTrail's empty markers are not even that."""
    key = f"{trail.root}CloudTrail-Digest/eu-west-1/2026/03/01/copy.json.gz"
    reader.objects[BUCKET, key] = reader.objects[BUCKET, trail.digests[2]]
    marker = f"{trail.root}CloudTrail-Digest/eu-west-1/"
    reader.objects[BUCKET, marker] = replace(reader.objects[BUCKET, trail.digests[2]], body=b"")
    report = report_on(reader, trail)
    assert report.whole
    assert [(note.kind, note.subject) for note in report.notes] == [(NoteKind.FOREIGN_OBJECT, trail.location(key))]


def test_a_digest_file_signed_with_somebody_elses_key_is_seen(reader: MemoryReader, trail: Trail) -> None:
    """Under the old fingerprint the signature does not fit; under its own the key is unknown."""
    trail.resign(trail.digests[2], lambda document: document.update(logFiles=[]), key_pair(1))
    stranger = key_pair(1).fingerprint
    trail.resign(trail.digests[4], lambda document: document.update(digestPublicKeyFingerprint=stranger), key_pair(1))
    report = report_on(reader, trail)
    assert found(report) == [
        (Kind.KEY_UNKNOWN, trail.location(trail.digests[4])),
        (Kind.SIGNATURE_INVALID, trail.location(trail.digests[2])),
    ]


def test_a_digest_file_replaced_with_the_trails_own_key_is_seen(reader: MemoryReader, trail: Trail) -> None:
    """Its own signature fits; its successor remembers other bytes. The AWS CLI calls this valid."""
    trail.resign(trail.digests[2], lambda document: document.update(logFiles=[]))
    report = report_on(reader, trail)
    replaced = (Kind.PREDECESSOR_DIFFERS, trail.location(trail.digests[2]))
    unlisted = [(Kind.LOG_UNLISTED, trail.location(key)) for key in trail.logs[4:6]]
    assert found(report) == sorted([replaced, *unlisted])
    assert "content and signature differ" in next(
        finding.sentence for finding in report.findings if finding.kind is Kind.PREDECESSOR_DIFFERS
    )


def test_rotated_keys_are_fine(reader: MemoryReader, trail: Trail) -> None:
    """Each digest names its own key."""
    trail.key = key_pair(1)
    trail.hours(2)
    assert report_on(reader, trail, key_pair(0), key_pair(1)).whole


def test_a_key_that_had_expired_is_no_longer_trusted(reader: MemoryReader, trail: Trail) -> None:
    """A stolen retired key signs nothing new; digests that ended before its end stay valid."""
    expired = replace(trail.key, valid_until=trail.now - 1.5 * HOUR)
    assert found(report_on(reader, trail, expired)) == sorted(
        (Kind.KEY_EXPIRED, trail.location(key)) for key in trail.digests[-2:]
    )


def test_a_listed_key_that_is_none_is_said_so(reader: MemoryReader, trail: Trail) -> None:
    """An unusable entry is not the same as an unknown key."""

    class Broken(Keys):
        def __init__(self) -> None:
            self._ring = read_key_ring([trail.key.entry | {"Value": "AAAA"}])

    report = validate(Question(BUCKET), reader, Broken(), now=trail.now + MINUTES, secret=b"s" * 32)
    assert {finding.kind for finding in report.findings} == {Kind.KEY_INVALID}


def test_a_second_history_is_a_fork(reader: MemoryReader, trail: Trail) -> None:
    """Two authentic digests follow the same predecessor; the chain goes past one of them."""
    other = Trail(reader.objects, now=trail.now - 30 * timedelta(minutes=1), logs=[""] * 50, last=None)
    document = json.loads(gzip.decompress(reader.objects[BUCKET, trail.digests[-1]].body))
    stamp = trail.now - timedelta(minutes=20)
    document |= {"digestEndTime": f"{stamp:%Y-%m-%dT%H:%M:%SZ}", "digestS3Object": trail.digest_key(stamp)}
    other.put_digest(trail.digest_key(stamp), document | {"logFiles": []})
    for question in ({}, {"start": trail.now - HOUR / 2}):
        assert found(report_on(reader, trail, **question)) == one(Kind.CHAIN_FORKED, trail, trail.digest_key(stamp))


def test_a_predecessor_in_the_future_is_impossible(reader: MemoryReader, trail: Trail) -> None:
    """Links that contradict time are reported, and followed no further."""
    trail.resign(trail.digests[-1], lambda document: document.update(previousDigestS3Object=trail.digests[-1]))
    assert found(report_on(reader, trail)) == one(Kind.PREDECESSOR_IMPOSSIBLE, trail, trail.digests[-1])


def test_a_seam_between_intervals_is_a_gap(reader: MemoryReader, trail: Trail) -> None:
    """A linked digest that starts after its predecessor ended leaves time uncovered."""
    trail.now += timedelta(minutes=20)
    key = trail.close()
    assert found(report_on(reader, trail)) == one(Kind.COVERAGE_GAP, trail, key)


def test_a_restart_is_a_note(reader: MemoryReader, trail: Trail) -> None:
    """Logging stopped and went on: whole, with the time that nothing covers."""
    first = trail.stand_still(5 * HOUR).close()
    trail.hours(2)
    report = report_on(reader, trail)
    assert report.whole
    assert [(note.kind, note.subject) for note in report.notes] == [(NoteKind.CHAIN_RESTARTED, trail.location(first))]


def test_a_log_file_that_no_digest_lists_is_named(reader: MemoryReader, trail: Trail) -> None:
    """Planted records; the AWS CLI does not look."""
    planted = Trail(reader.objects, logs=[""] * 90).deliver(at=trail.now - 2.5 * HOUR)
    assert found(report_on(reader, trail)) == one(Kind.LOG_UNLISTED, trail, planted)
    insight = planted.replace("CloudTrail", "CloudTrail-Insight")
    reader.objects[BUCKET, insight] = reader.objects.pop((BUCKET, planted))
    assert found(report_on(reader, trail)) == one(Kind.LOG_UNLISTED, trail, insight)
    assert report_on(reader, trail, start=trail.now - 2 * HOUR).whole
    reader.objects[BUCKET, insight] = replace(reader.objects[BUCKET, insight], body=b"")
    assert report_on(reader, trail).whole


def test_a_log_file_that_waits_for_its_digest_is_not_suspected(reader: MemoryReader, trail: Trail) -> None:
    """Delivered after the newest digest's end, even under an older stamp: due with the next."""
    late = trail.deliver(at=trail.now - 2.5 * HOUR)
    reader.objects[BUCKET, late] = replace(reader.objects[BUCKET, late], modified_at=trail.now + MINUTES / 2)
    trail.deliver(at=trail.now)
    assert report_on(reader, trail).whole
    trail.hours(1)
    assert report_on(reader, trail).whole


def test_a_log_file_listed_later_or_by_another_trail_is_not_suspected(reader: MemoryReader, trail: Trail) -> None:
    """Asked for a part, the checker reads other digests before it accuses anybody."""
    asked_until = trail.now - 0.5 * HOUR
    trail.deliver(at=trail.now - 3.5 * HOUR)
    trail.hours(4)
    second = Trail(reader.objects, name="second", logs=[""] * 100, now=trail.now - 8 * HOUR).hours(8)
    assert report_on(reader, trail, end=asked_until, trail=ARN).whole
    assert report_on(reader, trail).whole
    assert {tally.chain.trail_name for tally in report_on(reader, second).chains} == {"all_of.it", "second"}


def test_backfill_digests_are_a_chain_of_their_own(reader: MemoryReader, trail: Trail) -> None:
    """What they list is listed; what is wrong with them is named."""
    trail.deliver(at=trail.now - 2.5 * HOUR)
    key = trail.backfill()
    report = report_on(reader, trail)
    assert report.whole
    assert [tally.chain.backfill for tally in report.chains] == [False, True]
    metadata = {n: v for n, v in reader.objects[BUCKET, key].metadata.items() if not n.startswith("backfill")}
    reader.objects[BUCKET, key] = replace(reader.objects[BUCKET, key], metadata=metadata)
    assert (Kind.DIGEST_MALFORMED, trail.location(key)) in found(report_on(reader, trail))


def test_an_organizations_chain_is_found_by_its_trails_arn(reader: MemoryReader) -> None:
    """The chain of a member account belongs to the management account's trail; a namesake's does not."""
    member = Trail(reader.objects, account_id="444455556666", organization="o-abc123", prefix="org/x").hours(2)
    namesake = Trail(reader.objects, account_id="777788889999").hours(2)
    report = report_on(reader, member, trail=ARN)
    assert report.whole
    assert [tally.chain.place.account_id for tally in report.chains] == ["444455556666"]
    assert len(report_on(reader, namesake).chains) == 2


def test_a_trail_that_moved_is_followed(reader: MemoryReader, trail: Trail) -> None:
    """To another prefix or bucket and back in time; the seam is compared like any other."""
    trail.prefix, before = "moved", trail.digests[-1]
    trail.hours(3)
    report = report_on(reader, trail, prefix="moved")
    assert report.whole
    assert kinds_of_notes(report) == [NoteKind.CHAIN_CONTINUES]
    assert [tally.digests_valid for tally in report.chains] == [3, 6]
    trail.resign(before, lambda document: document.update(oldestEventTime="2026-01-01T00:00:00Z"))
    assert found(report_on(reader, trail)) == one(Kind.PREDECESSOR_DIFFERS, trail, before)
    trail.delete(before)
    assert found(report_on(reader, trail)) == one(Kind.DIGEST_MISSING, trail, before)


def test_nothing_at_all_is_a_finding(reader: MemoryReader, trail: Trail) -> None:
    """A bucket without digest files proves nothing, and so does a trail that is not there."""
    nobody = parse_arn(f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/nobody")
    assert [kind for kind, _ in found(report_on(reader, trail, trail=nobody))] == [Kind.NO_DIGESTS]
    trail.delete(*trail.digests)
    assert [kind for kind, _ in found(report_on(reader, trail))] == [Kind.NO_DIGESTS]


def test_what_the_store_keeps_back_is_named(reader: MemoryReader, trail: Trail) -> None:
    """A key that was disabled, a policy: one finding each; the rest is checked."""
    reader.refused = {(BUCKET, trail.logs[3]): "KMS.DisabledException", (BUCKET, trail.digests[4]): "AccessDenied"}
    assert found(report_on(reader, trail)) == [
        (Kind.DIGEST_UNREADABLE, trail.location(trail.digests[4])),
        (Kind.LOG_UNREADABLE, trail.location(trail.logs[3])),
    ]


def test_a_store_that_stays_away_ends_the_validation(reader: MemoryReader, trail: Trail) -> None:
    """A busy store is asked again; one that never answers is no reason to accuse anybody."""
    reader.busy = 3
    assert report_on(reader, trail).whole
    reader.busy = 10_000
    with pytest.raises(OutboundError):
        report_on(reader, trail)
