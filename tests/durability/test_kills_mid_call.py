"""Kill -9 of gateway and upstreams, mid-call: no effect without evidence, no reply without exactly one record."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.behind import World, running_world
from tests.support.callers import Callers
from tests.support.ledger import Ledger
from tests.support.reckoning import UNKNOWN

CALLERS = 32
VICTIMS = (
    *[("gateway",)] * 2,
    ("gateway", "next gateway"),
    *[("ledger",)] * 3,
    *[("s3",)] * 2,
    ("gateway", "ledger"),
    ("gateway", "ledger", "s3"),
)
"""Of ten kills, each kind its share."""


def _kill(world: World, victims: tuple[str, ...], chance: random.Random) -> None:
    """Kill in any order, at almost the same time, and start again what was killed, the gateway last; the next gateway
    is one that is killed as it starts, while it recovers what the last one left.
    """
    kills = {"gateway": world.gateway.kill, "ledger": world.ledger.kill, "s3": world.kill_seaweed}
    for victim in chance.sample(victims, len(victims)):
        kills.get(victim, lambda: None)()
        time.sleep(chance.choice((0, 0, 0.01, 0.05)))
    if "ledger" in victims:
        world.ledger.start()
    if "s3" in victims:
        world.start_seaweed()
    if "next gateway" in victims:
        world.kill_starting_gateway(chance.uniform(0.5, 3))
    if "gateway" in victims:
        world.restart_gateway()


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(3000)])])
def test_no_effect_is_without_a_record_and_no_reply_without_its_own(tmp_path: Path, kills: int) -> None:
    """Killed at random moments under 32 callers who change and read things at two upstreams; then the reckoning."""
    chance = random.Random(seed := random.randrange(1 << 32))
    print(f"seed {seed}")
    done: Counter[str] = Counter()
    with running_world(tmp_path, Ledger(tmp_path / "ledger")) as world:
        callers = Callers(world.gateway, CALLERS)
        for number in range(kills):
            if number % len(VICTIMS) == 0:
                order = chance.sample(VICTIMS, len(VICTIMS))
            victims = order[number % len(VICTIMS)]
            callers.wait_for_calls(CALLERS)
            time.sleep(chance.uniform(0, 0.3))
            _kill(world, victims, chance)
            callers.use(world.gateway)
            done["+".join(victims)] += 1
        callers.wait_for_calls(CALLERS)
        callers.stop()
        print(f"{kills} kills: {dict(done)}")
        records = world.reckon(callers.seen)
        unknown = [record for record in records if record.get("errorCode") == UNKNOWN]
        assert len(unknown) >= 2 * kills, "the test is about calls that were under way"
        assert world.gateway.stop() == 0
