"""SIGKILL while Chef servers are made, backed up, restored, maintained and deleted: the next start tells the truth.

Afterwards every server is HEALTHY with its data, or gone; every backup is OK; and no process, port or directory is left
over. Kills come at the moments that can be seen from outside (a directory appears, an object is there) and, in the
large form, at random ones.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opentrail.local.goiardi import goiardi_binary
from tests.support.chef_home import ChefHome, engines, wait_for
from tests.support.gateway import start

pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is not installed"),
]
SEEN_WITHIN_S = 15
Moment = Callable[[ChefHome], bool]


def at_once(_: ChefHome) -> bool:
    """Right after the answer."""
    return True


def after(delay_s: float) -> Moment:
    """So many seconds after the answer."""
    until = time.monotonic() + delay_s
    return lambda _: time.monotonic() >= until


def is_in(part: str, inner: str = ".") -> Moment:
    """When something is in a directory below ``opsworks``."""
    return lambda chef: any((path / inner).exists() for path in chef.in_directory(part))


def swapped(chef: ChefHome) -> bool:
    """When the old one is out of its place and the new one in it."""
    return any((chef.root / "servers" / path.name).exists() for path in chef.in_directory("replaced"))


def archived(count: int) -> Moment:
    """When so many objects are in the bucket: the archive comes before the log."""

    def is_there(chef: ChefHome) -> bool:
        s3 = chef.gateway.client("s3")
        buckets = [one["Name"] for one in s3.list_buckets()["Buckets"] if one["Name"].startswith("aws-opsworks-cm-")]
        return sum(len(s3.list_objects_v2(Bucket=bucket).get("Contents", [])) for bucket in buckets) >= count

    return is_there


@dataclass
class Life:
    """A HOME with one server, over many lives of the process; ``kept`` are the roles that it must have."""

    home: Path
    chef: ChefHome
    kept: set[str] = field(default_factory=set)
    kills: int = 0

    @classmethod
    @contextmanager
    def lived(cls, home: Path) -> Iterator["Life"]:
        """From the first start to a clean stop; nothing runs afterwards, also where the test failed."""
        life = cls(home, ChefHome(start(home)))
        try:
            yield life
            assert life.chef.gateway.stop() == 0
            assert not engines(home)
        finally:
            life.chef.gateway.kill()

    def add_role(self) -> None:
        role = f"role-{self.kills}-{len(self.kept)}"
        self.chef.add_role("one", role)
        self.kept.add(role)
        time.sleep(2.5)  # goiardi itself keeps what is older than its freeze interval; younger writes are no promise

    def kill(self, moment: Moment) -> None:
        """Kill at that moment, see every engine die with it, and start again.

        A busy machine may miss a short moment; then the kill comes late, which has to be survived as well.
        """
        deadline = time.monotonic() + SEEN_WITHIN_S
        while not moment(self.chef) and time.monotonic() < deadline:
            time.sleep(0.0005)
        self.chef.gateway.kill()
        self.kills += 1
        wait_for(lambda: not engines(self.home), f"engines outlive us: {engines(self.home)}")
        tools = self.chef.gateway.environment
        self.chef = ChefHome(start(self.home, tools=tools))

    def check(self, *, exists: bool = True) -> None:
        """The truth: HEALTHY with the kept roles, or gone; good backups only; nothing left over."""
        if exists:
            self.chef.wait("one", "HEALTHY")
            wait_for(lambda: self.chef.engine("one").admin_problem() is None, "the engine does not answer")
            assert self.chef.roles("one") == self.kept
        else:
            self.chef.wait("one", "gone")
        wait_for(lambda: all(one["Status"] == "OK" for one in self.chef.backups()), f"{self.chef.backups()}")
        self.chef.check_nothing_is_orphaned()


def creation(life: Life, moment: Moment) -> None:
    life.chef.create("one", DisableAutomatedBackup=True)
    life.kill(moment)
    life.kept = set()
    life.check()


def backup(life: Life, moment: Moment) -> None:
    life.add_role()
    life.chef.api.create_backup(ServerName="one")
    life.kill(moment)
    life.check()
    for one in life.chef.backups()[1:]:
        life.chef.api.delete_backup(BackupId=one["BackupId"])


def restore(life: Life, moment: Moment) -> None:
    backups = life.chef.backups()
    if not backups:
        backups = [life.chef.api.create_backup(ServerName="one")["Backup"]]
        life.chef.wait("one", "HEALTHY")
    kept = set(life.chef.roles("one"))
    life.chef.add_role("one", f"lost-{life.kills}")
    life.chef.api.restore_server(ServerName="one", BackupId=backups[0]["BackupId"])
    life.kill(moment)
    life.kept = kept
    life.check()


def maintenance(life: Life, moment: Moment) -> None:
    life.add_role()
    life.chef.api.start_maintenance(ServerName="one")
    life.kill(moment)
    life.check()
    assert life.chef.servers()["one"]["MaintenanceStatus"] == "SUCCESS"
    for one in life.chef.backups()[1:]:
        life.chef.api.delete_backup(BackupId=one["BackupId"])


def deletion(life: Life, moment: Moment) -> None:
    life.chef.api.delete_server(ServerName="one")
    life.kill(moment)
    life.check(exists=False)
    assert all(one["BackupType"] == "MANUAL" for one in life.chef.backups())


SMALL: list[tuple[Callable[[Life, Moment], None], Moment]] = [
    (creation, is_in("servers", "conf/admin.pem")),
    (backup, is_in("staging")),
    (restore, is_in("restoring", "conf/admin.pem")),
    (restore, swapped),
    (maintenance, is_in("restoring", "port")),
    (deletion, at_once),
]
"""One kill in the middle of each kind of work, and one in the middle of a swap."""

LARGE: list[tuple[Callable[[Life, Moment], None], Moment]] = [
    (creation, at_once),
    (deletion, at_once),
    (creation, is_in("servers")),
    (deletion, at_once),
    (creation, is_in("servers", "data/data.bin")),
    (backup, at_once),
    (backup, archived(3)),
    (restore, at_once),
    (restore, is_in("staging")),
    (restore, is_in("restoring")),
    (restore, is_in("replaced")),
    (maintenance, at_once),
    (maintenance, is_in("staging")),
    (maintenance, is_in("restoring")),
    (maintenance, is_in("replaced")),
    (maintenance, swapped),
]


def run(life: Life, work: list[tuple[Callable[[Life, Moment], None], Moment]]) -> None:
    for kind, moment in work:
        print(f"kill {life.kills + 1}: {kind.__name__}")
        kind(life, moment)


@pytest.mark.timeout(900)
def test_opsworks_kills_in_the_middle_of_each_kind_of_work(tmp_path: Path) -> None:
    """Six kills over one server's life."""
    with Life.lived(tmp_path / "home") as life:
        run(life, SMALL)


@pytest.mark.soak
def test_opsworks_kills_at_every_step_and_at_random(tmp_path: Path) -> None:
    """Every step that can be seen, then forty kills at random moments of all kinds of work."""
    with Life.lived(tmp_path / "home") as life:
        run(life, LARGE)
        for _ in range(40):
            kind = random.choice([backup, restore, maintenance])
            run(life, [(kind, after(random.uniform(0, 9)))])
        run(life, [(deletion, after(random.uniform(0, 0.5)))])
        print(f"{life.kills} kills, each followed by the truth; nothing orphaned")
