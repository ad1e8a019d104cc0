"""A Chef server's whole life by each client that OpsWorks CM's customers have: all nineteen operations, one story.

boto3 and the AWS CLI as they are now run always; those that know the service by themselves run in ``make soak``.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from opentrail.local.goiardi import goiardi_binary
from tests.support.gateway import Gateway, running
from tests.support.opsworks import MODEL
from tests.support.opsworks_clients import CLIENTS, client_of
from tests.support.opsworks_life import Life, lived

pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is missing: apt-get install goiardi"),
]
ALWAYS = ("boto3", "aws opsworkscm")
STORY = """
made: CREATING with CHEF_AUTOMATE_ADMIN_PASSWORD CHEF_AUTOMATE_PIVOTAL_KEY CHEF_STARTER_KIT
made again: ResourceAlreadyExistsException: Server with name NAME already exists
then: HEALTHY, automated backups off: True
account: [('ManualBackupLimit', 50), ('ServerLimit', 10)]
tags: stage=2 team=, then stage=2
updated: 3, Fri:18:15
before: 401
associated: SUCCESS, node object made: 201
another token: ResourceNotFoundException: No node association request found for the given token
exported: Userdata, #!/bin/bash, True
uploaded: 200 200, the node reads log 'a recipe of the life'
backup begun: IN_PROGRESS MANUAL before the accident
backup ended: OK, tags kept=yes stage=2, the only one: True
broken: 200, the node reads 404
from nothing: ResourceNotFoundException: Backup with id absent-20261123000000000 does not exist
restore begun: RESTORING
restored: r5.xlarge, the node reads log 'a recipe of the life'
key changed: MODIFYING with CHEF_AUTOMATE_PIVOTAL_KEY CHEF_STARTER_KIT
the old key and the new: [401, 200]
maintenance refused: ValidationException: Engine attribute CHEF_MAJOR_UPGRADE must be true
maintenance: UNDER_MAINTENANCE, then SUCCESS, the node reads log 'a recipe of the life'
disassociated: SUCCESS, the node reads 401
events: 2 by page, the same as at once: True
a strange page: InvalidNextTokenException: The provided NextToken is not valid
deleted: ResourceNotFoundException: Server with name NAME does not exist
its backup: OK, then ResourceNotFoundException
""".strip().splitlines()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One OpenTrail for all clients."""
    home = tmp_path_factory.mktemp("clients") / "home"
    with running(home, {"OPENTRAIL_OPSWORKS_HEALTH_INTERVAL_S": "0.5"}) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def lives(
    gateway: Gateway, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, "Future[tuple[list[str], set[str]]]"]]:
    """The lives of the clients whose tests run, all at once, as most of a life is waiting."""
    chosen = {name for item in request.session.items if (name := _client_of_test(item, request.module)) is not None}
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        yield {name: pool.submit(_live, gateway, name, tmp_path_factory.mktemp("kit")) for name in chosen}


def _client_of_test(item: pytest.Item, module: object) -> str | None:
    is_here = isinstance(item, pytest.Function) and item.module is module
    return item.callspec.params.get("name") if is_here and hasattr(item, "callspec") else None


def _live(gateway: Gateway, name: str, directory: Path) -> tuple[list[str], set[str]]:
    with client_of(gateway, name) as client:
        life = Life(client, f"life-{list(CLIENTS).index(name)}", directory)
        return lived(life), life.asked


def parameters() -> list[Any]:
    return [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.soak) for name in CLIENTS]


@pytest.mark.parametrize("name", parameters())
def test_every_client_lives_the_same_life(lives: Mapping[str, "Future[tuple[list[str], set[str]]]"], name: str) -> None:
    """Each client tells the same story, word for word, and asks for every operation of the service."""
    story, asked = lives[name].result()
    assert story == STORY
    assert asked == set(MODEL.operation_names)
