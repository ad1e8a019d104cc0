"""A changed configuration is put in force while calls go on: by command and by signal, all of it or nothing."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from opentrail.aws.model import Catalogue
from tests.support.gateway import Gateway, running
from tests.support.model_upstream import ModelUpstream, running_model_upstream


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[ModelUpstream, ModelUpstream]]:
    """Two servers that play SQS, and call their queues after themselves."""
    catalogue = Catalogue()
    with running_model_upstream(catalogue) as one, running_model_upstream(catalogue) as two:
        for name, server in (("one", one), ("two", two)):
            server.results["sqs", "ListQueues"] = {"QueueUrls": [f"{server.endpoint}/1/{name}"]}
        yield one, two


def written(file: Path, server: ModelUpstream, *, more: str = "") -> None:
    """A configuration with one upstream."""
    file.write_text(f'[upstream.sqs]\nendpoint = "{server.endpoint}"\ncredentials = "account"\n{more}')


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration file of the gateway."""
    return tmp_path_factory.mktemp("config") / "opentrail.toml"


@pytest.fixture(scope="module")
def gateway(config: Path, servers: tuple[ModelUpstream, ModelUpstream]) -> Iterator[Gateway]:
    """A gateway in front of the first server."""
    written(config, servers[0])
    with running(config.parent / "home", {"OPENTRAIL_LOCAL_MINISTACK": "off"}, "--config", str(config)) as started:
        yield started


def queues(gateway: Gateway) -> list[str]:
    """What ListQueues answers: names of queues, at the gateway's own address."""
    urls = gateway.client("sqs").list_queues()["QueueUrls"]
    assert all(url.startswith(f"{gateway.url}/1/") for url in urls)
    return [url.rpartition("/")[2] for url in urls]


def reload(gateway: Gateway, config: Path) -> tuple[int, str]:
    """``opentrail reload``: exit code, and what it says."""
    done = gateway.opentrail("reload", "--config", str(config))
    return done.returncode, done.stdout + done.stderr


def test_an_upstream_is_swapped_without_dropping_a_call(
    gateway: Gateway, config: Path, servers: tuple[ModelUpstream, ModelUpstream]
) -> None:
    """Calls before, during and after the reload are all answered, first by the one, then by the other."""
    assert queues(gateway) == ["one"]
    seen: list[str] = []
    stop = threading.Event()

    def keep_calling() -> None:
        while not stop.is_set():
            seen.extend(queues(gateway))

    callers = [threading.Thread(target=keep_calling) for _ in range(4)]
    for caller in callers:
        caller.start()
    written(config, servers[1])
    assert reload(gateway, config) == (0, "in force now: upstream.sqs\n")
    before = len(seen)
    while len(seen) < before + 8:
        time.sleep(0.01)
    stop.set()
    for caller in callers:
        caller.join()
    assert set(seen) <= {"one", "two"}
    assert seen[-1] == "two"
    assert queues(gateway) == ["two"]


def test_a_file_with_a_problem_changes_nothing(
    gateway: Gateway, config: Path, servers: tuple[ModelUpstream, ModelUpstream]
) -> None:
    """Every problem is told, exit code 2, and the settings in force stay: also for what only the server can know."""
    written(config, servers[1])
    reload(gateway, config)
    written(config, servers[0], more="[gateway]\nport = -1\nnope = 1\n")
    code, text = reload(gateway, config)
    assert code == 2
    assert "gateway.nope" in text
    assert "gateway.port" in text
    written(config, servers[0], more='services = ["no-such-service"]\n')
    code, text = reload(gateway, config)
    assert code == 1
    assert "no service is called `no-such-service`" in text
    gateway.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert queues(gateway) == ["two"]


def test_what_cannot_change_is_told_and_the_rest_changes(
    gateway: Gateway, config: Path, servers: tuple[ModelUpstream, ModelUpstream]
) -> None:
    """Exit code 1: something waits for a restart."""
    written(config, servers[0], more="[journal]\nsegment_bytes = 2097152\n")
    code, text = reload(gateway, config)
    assert (code, text.splitlines()) == (
        1,
        ["in force now: upstream.sqs", "waiting for a restart: journal.segment_bytes"],
    )
    assert queues(gateway) == ["one"]


def test_what_is_served_here_is_decided_at_start(
    gateway: Gateway, config: Path, servers: tuple[ModelUpstream, ModelUpstream]
) -> None:
    """An upstream that would take one of ours over waits for a restart, as our own service still answers."""
    for service in ("kms", "sns", "organizations"):
        other = (
            f'[upstream.other]\nendpoint = "{servers[0].endpoint}"\ncredentials = "account"\nservices = "{service}"\n'
        )
        written(config, servers[0], more=other)
        code, text = reload(gateway, config)
        assert code == 1
        assert "waiting for a restart: upstream.other" in text.splitlines()


def test_a_signal_reloads_too(gateway: Gateway, config: Path, servers: tuple[ModelUpstream, ModelUpstream]) -> None:
    """SIGHUP, as service managers send it."""
    written(config, servers[1])
    gateway.process.send_signal(signal.SIGHUP)
    for _ in range(100):
        if queues(gateway) == ["two"]:
            break
        time.sleep(0.05)
    assert queues(gateway) == ["two"]


def test_without_a_running_gateway_there_is_nothing_to_reload(tmp_path: Path, gateway: Gateway) -> None:
    """Said in one line, exit code 1."""
    other = Gateway(tmp_path / "other", gateway.process, gateway.url, gateway.log)
    done = other.opentrail("reload")
    assert done.returncode == 1
    assert "no OpenTrail runs on" in done.stderr
