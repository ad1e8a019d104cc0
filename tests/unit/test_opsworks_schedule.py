"""What the clock calls for: windows, standstills, wrong clocks, retention, and the events of what is begun."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.opsworks.backups import Backup, BackupStatus, BackupType, expired
from opentrail.opsworks.schedule import Due, due, last_opening
from opentrail.opsworks.server import ServerStatus
from opentrail.opsworks.windows import DAYS, TimeWindow
from tests.support.opsworks import FakeEngine, SteppingClock, World, create_request, fake_world
from tests.unit.test_opsworks_jobs import a_server, wait_for
from tests.unit.test_opsworks_service import created

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOWS = st.builds(TimeWindow, st.none() | st.sampled_from(DAYS), st.integers(0, 23), st.integers(0, 59))
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is given beside


def healthy(**members: object):  # type: ignore[no-untyped-def]  # a Server
    """A server made on a Monday at midnight, with a daily backup at 03:00 and maintenance on Fridays at 01:00."""
    server = replace(a_server(ServerStatus.HEALTHY), created_at=MONDAY, preferred_backup_window="03:00")
    return replace(server, **members)  # type: ignore[arg-type]  # as the test gives them


@given(WINDOWS, INSTANTS)
def test_opsworks_last_opening_is_the_newest_that_is_not_ahead(window: TimeWindow, now: datetime) -> None:
    """It is at the window's hour, minute and day, not after now, and less than one period before it."""
    at = last_opening(window, now)
    assert (at.hour, at.minute, at.second, at.microsecond) == (window.hour, window.minute, 0, 0)
    assert timedelta() <= now - at < (timedelta(days=1) if window.day is None else timedelta(days=7))
    assert window.day in (None, DAYS[at.weekday()])


@given(WINDOWS, INSTANTS, st.integers(1, 30 * 24 * 60))
def test_opsworks_a_window_is_used_once(window: TimeWindow, begin: datetime, step_min: int) -> None:
    """Whatever the looks' rhythm, each opening is followed by at most one backup, and the last one by exactly one."""
    server, now, made = healthy(created_at=begin, preferred_backup_window=str(window)), begin, []
    for _ in range(20):
        now += timedelta(minutes=step_min)
        if due(server, now) is Due.BACKUP:
            made.append(last_opening(window, now))
            server = server.scheduled(backup_due_after=now)
    assert len(set(made)) == len(made)
    last = last_opening(window, now)
    assert (last in made) == (last > begin)


def test_opsworks_backups_are_due_from_their_window_on_and_once_after_a_standstill() -> None:
    """Not before 03:00, at 03:00, and after three dead days one backup only."""
    assert due(healthy(), MONDAY + 3 * HOUR - timedelta(seconds=1)) is None
    assert due(healthy(), MONDAY + 3 * HOUR) is Due.BACKUP
    late = MONDAY + timedelta(days=3, hours=12)
    assert due(healthy(), late) is Due.BACKUP
    assert due(healthy(backup_due_after=late), late + 10 * HOUR) is None
    assert due(healthy(disable_automated_backup=True), late) is None


def test_opsworks_maintenance_begins_within_its_hour_or_not_at_all() -> None:
    """Fridays from 01:00 to 02:00, once."""
    friday = MONDAY + timedelta(days=4)
    server = healthy(disable_automated_backup=True)
    assert due(server, friday + HOUR - timedelta(seconds=1)) is None
    assert due(server, friday + HOUR) is Due.MAINTENANCE
    assert due(server, friday + 2 * HOUR - timedelta(seconds=1)) is Due.MAINTENANCE
    assert due(server, friday + 2 * HOUR) is None
    assert due(server.scheduled(maintenance_due_after=friday + HOUR), friday + 1.5 * HOUR) is None
    assert due(replace(server, created_at=friday + 1.2 * HOUR), friday + 1.5 * HOUR) is None


@pytest.mark.parametrize("status", list(ServerStatus))
def test_opsworks_nothing_is_due_in_a_state_that_forbids_it(status: ServerStatus) -> None:
    """Backups in RUNNING, HEALTHY and UNHEALTHY; maintenance in HEALTHY and UNHEALTHY."""
    friday = MONDAY + timedelta(days=4, hours=1)
    found = {due(healthy(status=status, disable_automated_backup=off), friday) for off in (False, True)}
    assert (Due.BACKUP in found) == (status in {"RUNNING", "HEALTHY", "UNHEALTHY"})
    assert (Due.MAINTENANCE in found) == (status in {"HEALTHY", "UNHEALTHY"})


def test_opsworks_a_clock_that_was_wrong_neither_repeats_nor_ends_the_schedule() -> None:
    """Set back by minutes: no second backup. Once years ahead: the next window counts again."""
    at = MONDAY + 3 * HOUR
    assert due(healthy(backup_due_after=at), at - timedelta(minutes=5)) is None
    assert due(healthy(backup_due_after=at + timedelta(seconds=1)), at) is None
    assert due(healthy(backup_due_after=MONDAY + timedelta(days=2000)), at + HOUR) is Due.BACKUP


def automated(*statuses: BackupStatus) -> list[Backup]:
    """Backups with these states, newest first."""
    return [
        Backup(
            backup_id=f"a-{number}",
            account_id="123456789012",
            region="us-east-1",
            server=healthy(),
            type=BackupType.AUTOMATED,
            status=status,
            created_at=MONDAY - timedelta(days=number),
        )
        for number, status in enumerate(statuses)
    ]


@given(st.lists(st.sampled_from(BackupStatus), max_size=12), st.integers(1, 30))
def test_opsworks_retention_keeps_the_newest_good_ones(statuses: list[BackupStatus], kept_count: int) -> None:
    """The newest good backups stay, as many as the count; what goes is older; nothing under way goes."""
    backups = automated(*statuses)
    gone = expired(backups, kept_count)
    good = [backup for backup in backups if backup.status is BackupStatus.OK]
    assert [backup for backup in good if backup not in gone] == good[:kept_count]
    assert all(backup.status in {BackupStatus.OK, BackupStatus.FAILED} for backup in gone)
    if gone:
        assert gone[0].created_at < good[kept_count - 1].created_at


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path / "w") as world:
        yield world


def at(world: World, instant: datetime) -> None:
    """One regular look at that instant, and everything that follows."""
    assert isinstance(world.clock, SteppingClock)
    world.clock.at = instant
    world.jobs._begin_what_is_due()
    world.jobs._look_at_all()
    world.settle()


def backups(world: World) -> list[tuple[str, str]]:
    return [(one["BackupType"], one["Status"]) for one in world.ask("DescribeBackups")["Backups"]]


def told(world: World) -> list[str]:
    return [event.event_name for event in world.service_events]


# The stepping clock begins on Monday 2026-11-23, 12:00.
DAILY = {"PreferredBackupWindow": "03:00", "PreferredMaintenanceWindow": "Fri:01:00"}


def test_opsworks_automated_backups_come_daily_and_the_oldest_go(world: World) -> None:
    """One a day; with a retention of two the third ends the first; manual ones stay; each leaves a service event."""
    created(world, BackupRetentionCount=2, Tags=[{"Key": "team", "Value": "chef"}], **DAILY)
    world.ask("CreateBackup", {"ServerName": "automate-06"})
    world.settle()
    for day in (1, 2, 3):
        at(world, MONDAY + timedelta(days=day, hours=2, minutes=59, seconds=50))
        at(world, MONDAY + timedelta(days=day, hours=3))
        at(world, MONDAY + timedelta(days=day, hours=4))
    assert backups(world) == [("AUTOMATED", "OK"), ("AUTOMATED", "OK"), ("MANUAL", "OK")]
    newest = world.ask("DescribeBackups")["Backups"][0]
    assert newest["CreatedAt"].date() == (MONDAY + timedelta(days=3)).date()
    assert "UserArn" not in newest
    assert world.ask("ListTagsForResource", {"ResourceArn": newest["BackupArn"]})["Tags"]
    assert world.status() == "HEALTHY"
    assert told(world) == ["CreateBackup", "CreateBackup", "CreateBackup", "DeleteBackup"]
    event = world.service_events[-1]
    assert (event.event_source, event.invoked_by) == ("opsworks-cm.amazonaws.com",) * 2
    assert event.details["backupRetentionCount"] == 2
    assert event.resources[0]["ARN"].endswith(world.server_id())
    limits = world.ask("DescribeAccountAttributes")["Attributes"]
    assert limits[1]["Used"] == 1


def test_opsworks_weekly_maintenance_runs_in_its_hour(world: World) -> None:
    """A new instance on Friday, once, with its event; MaintenanceStatus tells."""
    created(world, DisableAutomatedBackup=True, **DAILY)
    for hours in (0.9, 1.0, 1.5, 2.5):
        at(world, MONDAY + timedelta(days=4, hours=hours))
    assert told(world) == ["StartMaintenance"]
    server = world.ask("DescribeServers")["Servers"][0]
    assert (server["Status"], server["MaintenanceStatus"]) == ("HEALTHY", "SUCCESS")
    assert backups(world) == [("AUTOMATED", "OK")]
    assert isinstance(world.engine, FakeEngine)
    assert world.engine.log.count("restore") == 1
    assert world.service_events[0].details["serverName"] == "automate-06"


def test_opsworks_disabled_and_changed_windows(world: World) -> None:
    """Nothing while disabled; a window that is set to an hour that is past today begins tomorrow."""
    created(world, DisableAutomatedBackup=True, **DAILY)
    at(world, MONDAY + timedelta(days=1, hours=5))
    assert backups(world) == []
    world.ask("UpdateServer", {"ServerName": "automate-06", "DisableAutomatedBackup": False})
    at(world, MONDAY + timedelta(days=1, hours=6))
    assert backups(world) == []
    at(world, MONDAY + timedelta(days=2, hours=3))
    assert len(backups(world)) == 1
    world.ask("UpdateServer", {"ServerName": "automate-06", "PreferredBackupWindow": "02:00"})
    at(world, MONDAY + timedelta(days=2, hours=4))
    assert len(backups(world)) == 1
    at(world, MONDAY + timedelta(days=3, hours=2))
    assert told(world) == ["CreateBackup", "CreateBackup", "DeleteBackup"]


def test_opsworks_a_busy_server_is_backed_up_when_it_can_be(world: World) -> None:
    """A window that opened while the server was busy is used afterwards."""
    created(world, **DAILY)
    assert isinstance(world.engine, FakeEngine)
    world.engine.up.clear()
    world.engine.problem = world.engine.snapshot_problem = None
    with world.database.unit() as unit:
        server = world.store.all_servers(unit.connection)[0]
        world.store.put_server(unit, server.moved(ServerStatus.CONNECTION_LOST))
    at(world, MONDAY + timedelta(days=1, hours=3))  # the look brings the server back, after the schedule was asked
    assert backups(world) == []
    at(world, MONDAY + timedelta(days=1, hours=3, minutes=1))
    assert backups(world) == [("AUTOMATED", "OK")]


def test_opsworks_deleting_a_server_deletes_its_automated_backups(world: World) -> None:
    """Manual ones stay; the server waits while another one is being made from an automated one."""
    created(world, BackupRetentionCount=3, **DAILY)
    for day in (1, 2):
        at(world, MONDAY + timedelta(days=day, hours=3))
    world.ask("CreateBackup", {"ServerName": "automate-06"})
    world.settle()
    source = world.ask("DescribeBackups")["Backups"][1]
    assert isinstance(world.engine, FakeEngine)
    world.engine.gate.clear()
    world.engine.entered.clear()
    world.ask("CreateServer", create_request("fresh", BackupId=source["BackupId"], DisableAutomatedBackup=True))
    assert world.engine.entered.wait(10)
    old = world.server_id()
    world.ask("DeleteServer", {"ServerName": "automate-06"})
    assert world.status() == "DELETING"
    world.engine.gate.set()
    world.settle()
    assert world.status("fresh") == "HEALTHY"
    world.jobs.look_at_server(old)
    world.settle()
    assert [server["ServerName"] for server in world.ask("DescribeServers")["Servers"]] == ["fresh"]
    assert backups(world) == [("MANUAL", "OK")]
    assert len({key for keys in world.objects.buckets.values() for key in keys}) == 2  # type: ignore[attr-defined]
    assert told(world) == ["CreateBackup", "CreateBackup"]  # the deletions belong to a person's DeleteServer


def test_opsworks_one_servers_windows_keep_no_other_from_its_backup(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that cannot be read as a window is logged; the next server is backed up all the same."""
    created(world, "broken", **DAILY)
    created(world, "good", **DAILY)
    with world.database.unit() as unit:
        broken = world.store.all_servers(unit.connection)[0]
        world.store.put_server(unit, replace(broken, preferred_backup_window="25:00"))
    at(world, MONDAY + timedelta(days=1, hours=3))
    assert [one["ServerName"] for one in world.ask("DescribeBackups")["Backups"]] == ["good"]
    assert "Chef server broken was not begun" in caplog.text


def test_opsworks_windows_are_looked_at_however_rarely_servers_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a health check once an hour a window is still used soon after it opens."""
    monkeypatch.setattr("opentrail.opsworks.jobs.LONGEST_PAUSE_S", 0.05)
    with fake_world(tmp_path / "w") as world:
        created(world, **DAILY)
        assert isinstance(world.clock, SteppingClock)
        world.clock.at = MONDAY + timedelta(days=1, hours=3)
        wait_for(lambda: backups(world) == [("AUTOMATED", "OK")])


def test_opsworks_windows_count_for_nothing_where_others_look_after_the_server(world: World) -> None:
    """An external engine is backed up and maintained by whoever runs it."""
    created(world, **DAILY)
    world.jobs._options = replace(world.jobs._options, is_scheduled=False)
    at(world, MONDAY + timedelta(days=4, hours=3))
    assert backups(world) == []
    assert world.service_events == []
