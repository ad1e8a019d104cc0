"""Many Chef servers at once: all HEALTHY, small, each with its own port and endpoint, and all back after a restart."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opentrail.local.goiardi import goiardi_binary
from tests.support.chef_home import ChefHome, engines, resident_mb, wait_for
from tests.support.gateway import start

pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is not installed"),
]
LIMIT_MB = 600
TEN = 10


def _all_work(chef: ChefHome, names: list[str]) -> None:
    wait_for(lambda: {chef.status(name) for name in names} == {"HEALTHY"}, f"{chef.servers()}", 300)
    for name in names:
        wait_for(lambda name=name: chef.engine(name).admin_problem() is None, f"{name} does not answer")  # type: ignore[misc]  # mypy sees no type for the default
        assert chef.roles(name) >= {f"of-{name}"}


def _many_servers(home: Path, count: int) -> str:
    """Create them at once, restart with a kill and with a clean stop; the figures."""
    names = [f"chef-{number}" for number in range(count)]
    chef = ChefHome(start(home))
    began = time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(chef.create, names))
    wait_for(lambda: {chef.status(name) for name in names} == {"HEALTHY"}, f"{chef.servers()}", 300)
    created_s = time.monotonic() - began
    for name in names:
        chef.add_role(name, f"of-{name}")
    servers = chef.servers()
    assert len({server["Endpoint"] for server in servers.values()}) == count
    chef.check_nothing_is_orphaned()
    memory_mb = sum(resident_mb(pid) for pid in engines(home))
    assert memory_mb < LIMIT_MB
    time.sleep(3)  # so that goiardi has the roles on its disk
    chef.gateway.kill()
    wait_for(lambda: not engines(home), f"{engines(home)}")
    began = time.monotonic()
    chef = ChefHome(start(home, tools=chef.gateway.environment))
    _all_work(chef, names)
    back_s = time.monotonic() - began
    assert chef.gateway.stop() == 0
    assert not engines(home)
    chef = ChefHome(start(home, tools=chef.gateway.environment))
    _all_work(chef, names)
    assert {name: one["Endpoint"] for name, one in chef.servers().items()} == {
        name: one["Endpoint"] for name, one in servers.items()
    }
    again_mb = sum(resident_mb(pid) for pid in engines(home))
    assert again_mb < LIMIT_MB
    chef.check_nothing_is_orphaned()
    assert chef.gateway.stop() == 0
    return (
        f"{count} Chef servers: all HEALTHY after {created_s:.1f} s, {memory_mb:.0f} MB together"
        f" ({again_mb:.0f} MB after a restart), all back {back_s:.1f} s after a kill"
    )


@pytest.mark.timeout(600)
def test_opsworks_three_servers_at_once(tmp_path: Path) -> None:
    """Three servers, made at once, survive a kill and a restart."""
    print(_many_servers(tmp_path / "home", 3))


@pytest.mark.soak
def test_opsworks_ten_servers_at_once(tmp_path: Path) -> None:
    """As many as an account may have; the figures are printed."""
    home = tmp_path / "home"
    print(_many_servers(home, TEN))
