"""Delivery by real processes that are killed: nothing acknowledged is lost or doubled, and retries change no byte."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.delivery_child import DirectoryStore
from tests.support.delivery_world import BUCKET, event_ids

ROOT = Path(__file__).parent.parent.parent


def live(directory: Path, kill_at: str, records: int = 1) -> tuple[list[str], bool]:
    """One life of the process: the event ids that it acknowledged, and whether it came to its end."""
    argv = [sys.executable, "-m", "tests.support.delivery_child", str(directory), kill_at, str(records)]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    lines = ended.stdout.splitlines()
    assert ended.returncode in (0, -9), ended.stderr
    return [line for line in lines if line != "done"], ended.returncode == 0


def delivered(directory: Path) -> list[str]:
    """The event ids in the bucket, with repetitions, sorted."""
    store = DirectoryStore(directory / "store")
    return sorted(found for key in store.list_keys(BUCKET, "") for found in event_ids(store.get(BUCKET, key)))


@pytest.mark.parametrize("kill_at", ["before:1", "after:1", "before:2", "after:2"])
def test_a_kill_around_a_put_loses_and_doubles_nothing(tmp_path: Path, kill_at: str) -> None:
    """Killed between plan and put, or between put and mark, the next life ends with every record in one file, and
    every attempt at a key had the same bytes.
    """
    acknowledged, ended = live(tmp_path, kill_at)
    assert not ended
    more, ended = live(tmp_path, "never")
    assert ended
    assert delivered(tmp_path) == sorted(acknowledged + more)
    attempts: dict[str, set[bytes]] = {}
    for path in (tmp_path / "store" / "attempted").iterdir():
        attempts.setdefault(path.stem, set()).add(path.read_bytes())
    assert {len(bodies) for bodies in attempts.values()} == {1}


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_kills_at_any_moment_lose_and_double_nothing(tmp_path: Path, kills: int) -> None:
    """A process that records and delivers is killed again and again at random moments; at the end every acknowledged
    record is in the bucket, and none is there twice.
    """
    acknowledged: list[str] = []
    chance = random.Random(20261123)
    argv = [sys.executable, "-m", "tests.support.delivery_child", str(tmp_path), "anywhere", "100000"]
    for _ in range(kills):
        child = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert child.stdout is not None
        acknowledged.append(child.stdout.readline().strip())
        time.sleep(chance.uniform(0.1, 0.8))
        child.kill()
        output, _ = child.communicate(timeout=30)
        acknowledged += [line for line in output.splitlines() if len(line) == 36]
    more, ended = live(tmp_path, "never")
    assert ended
    found = delivered(tmp_path)
    assert len(found) == len(set(found))
    assert set(acknowledged + more) <= set(found)
    assert len(acknowledged) > 100
