"""Windows, lanes and back-off as values, and the refusals of log files and keys."""

import uuid

import pytest

from opentrail.delivery.lane import Backoff, Lane
from opentrail.delivery.logfile import ENVELOPE_BYTES, Compression, LogFileWriter, build, content_sha256
from opentrail.delivery.object_keys import parse
from opentrail.delivery.window import Windows, opened_s
from opentrail.journal import Frame

HERE, THERE = "123456789012/us-east-1", "123456789012/eu-west-1"


def frame(sequence: int, *, partition: str = HERE, time_s: int = 1000, size_bytes: int = 10) -> Frame:
    """A frame of trail t1."""
    return Frame(sequence, str(uuid.UUID(int=sequence)), time_s, partition, ("t1",), b"x" * size_bytes)


def test_a_window_counts_each_partition_by_itself() -> None:
    """Sequences, sizes with envelope and separators, and event times are kept per partition."""
    windows = Windows(max_bytes=1000)
    windows.add(frame(1, time_s=50), 0.0)
    windows.add(frame(2, partition=THERE), 0.0)
    windows.add(frame(4, time_s=40), 0.0)
    assert windows.open is not None
    here = windows.open.tallies[HERE]
    assert (here.first_sequence, here.last_sequence, here.record_count) == (1, 4, 2)
    assert here.size_bytes == ENVELOPE_BYTES + 10 + 1 + 10
    assert (here.oldest_event_s, here.newest_event_s) == (40, 50)
    assert (windows.open.through_sequence, windows.open.record_count, windows.open.oldest_event_s) == (4, 3, 40)


def test_a_tally_knows_the_exact_size_of_its_file() -> None:
    """The size that a window counts is the size that the log file gets."""
    windows = Windows(max_bytes=1000)
    payloads = [b'{"a":1}', b'{"bb":22}', b"{}"]
    for sequence, payload in enumerate(payloads, 1):
        windows.add(Frame(sequence, "", 0, HERE, ("t1",), payload), 0.0)
    assert windows.open is not None
    assert windows.open.tallies[HERE].size_bytes == build(payloads, Compression()).size_bytes


def test_a_window_closes_before_it_outgrows_the_limit() -> None:
    """The record that would not fit opens the next window; a single record above the limit gets a window of its own."""
    windows = Windows(max_bytes=ENVELOPE_BYTES + 21)
    for sequence in (1, 2, 3):
        windows.add(frame(sequence), float(sequence))
    windows.add(frame(4, size_bytes=500), 4.0)
    assert [window.record_count for window in windows.every()] == [2, 1, 1]
    assert [window.opened_s for window in windows.every()] == [1.0, 3.0, 4.0]


def test_age_counts_from_the_first_record() -> None:
    """A window is due when its first record is as old as the interval, not before."""
    windows = Windows(max_bytes=1000)
    windows.add(frame(1), 100.0)
    windows.add(frame(2), 150.0)
    windows.close_if_due(159.9, 60.0)
    assert windows.closed == []
    windows.close_if_due(160.0, 60.0)
    assert (len(windows.closed), windows.open) == (1, None)
    windows.close_if_due(999.0, 60.0)
    assert len(windows.closed) == 1


def test_a_record_found_late_has_aged_and_one_from_the_future_is_new() -> None:
    """The opening is moved back by the record's age on the wall clock, and never into the future."""
    assert opened_s(frame(1, time_s=940), now_s=500.0, now_epoch_s=1000.0) == 440.0
    assert opened_s(frame(1, time_s=5000), now_s=500.0, now_epoch_s=1000.0) == 500.0


def test_a_lane_takes_each_frame_once() -> None:
    """A frame at or below what the lane has seen is not counted again."""
    lane = Lane("t1", cursor=3, seen=5, windows=Windows(max_bytes=1000))
    for sequence in (4, 5, 6, 6):
        lane.take(frame(sequence), 0.0)
    assert lane.lag().waiting_records == 1


def test_backoff_doubles_up_to_a_minute_and_is_cleared() -> None:
    """Pauses are 1, 2, 4 ... 60 seconds; success makes the next pause short again."""
    backoff = Backoff()
    pauses = []
    for _ in range(9):
        backoff.fail(1000.0, "SlowDown")
        pauses.append(backoff.not_before_s - 1000.0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    backoff.clear()
    assert (backoff.failures, backoff.error, backoff.not_before_s) == (0, None, 0.0)


def test_an_empty_log_file_cannot_be_made() -> None:
    """Without records there is no file."""
    with pytest.raises(ValueError, match="without records"):
        build([], Compression())


@pytest.mark.parametrize(("compressor", "level"), [("isal", 4), ("zlib", 10), ("zlib", -1), ("bzip2", 1)])
def test_an_unknown_compression_is_refused(compressor: str, level: int) -> None:
    """A compressor or level that does not exist raises ValueError."""
    with pytest.raises(ValueError, match="no such compression"):
        Compression(compressor, level)


def test_only_one_whole_gzip_member_of_bounded_size_has_a_content_hash() -> None:
    """Truncated, trailing or too long content is not a log file of ours."""
    file = build([b"{}" * 1000], Compression())
    assert content_sha256(file.body, max_bytes=file.size_bytes) == file.sha256
    assert content_sha256(file.body, max_bytes=file.size_bytes - 1) is None
    assert content_sha256(file.body[:-1], max_bytes=file.size_bytes) is None
    assert content_sha256(file.body + b"x", max_bytes=file.size_bytes) is None
    assert content_sha256(b"", max_bytes=10) is None


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("", ""),
        ("us-east-1/2026/11/24/", "123456789012_CloudTrail_us-east-1_20261123T1201Z_Mu0KsOhtH1ar15ZZ.json.gz"),
        ("us-east-1/2026/11/23/", "210987654321_CloudTrail_us-east-1_20261123T1201Z_Mu0KsOhtH1ar15ZZ.json.gz"),
        ("us-east-1/2026/13/41/", "123456789012_CloudTrail_us-east-1_20261341T1201Z_Mu0KsOhtH1ar15ZZ.json.gz"),
    ],
)
def test_other_keys_are_no_log_files(folder: str, name: str) -> None:
    """Markers and keys whose parts contradict each other are not parsed."""
    assert parse(f"AWSLogs/123456789012/CloudTrail/{folder}{name}") is None


def test_large_files_do_not_depend_on_how_they_were_fed() -> None:
    """Pieces end at the same records however many come at a time, so a retry compresses to the same bytes."""
    records = [str(number).encode() * (number % 4000 + 1) for number in range(1500)]
    whole = build(records, Compression())
    assert whole.size_bytes > 1_000_000
    for step in (1, 7, 1499):
        writer = LogFileWriter(Compression())
        for begin in range(0, len(records), step):
            writer.add(records[begin : begin + step])
        assert writer.finish() == whole
