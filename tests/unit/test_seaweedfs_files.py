"""The files that SeaweedFS is started with are made once, kept, private, and never half trusted."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.clock import SystemEntropy
from opentrail.errors import ConfigError
from opentrail.local.seaweedfs_files import Ports, load_ports, load_secrets, options_text
from opentrail.local.seaweedfs_tls import mutual_tls
from opentrail.processes.ports import free_ports
from opentrail.state.private_files import write_private

PORTS = Ports(master=20001, volume=20002, filer=20003, s3=20004, admin=20005)


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """The second load returns what the first one made."""
    first = load_secrets(tmp_path, SystemEntropy(), has_data=False)
    assert load_secrets(tmp_path, SystemEntropy(), has_data=True) == first
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_secrets_do_not_show_themselves(tmp_path: Path) -> None:
    """Neither repr nor str of the value has a secret in it."""
    secrets = load_secrets(tmp_path, SystemEntropy(), has_data=False)
    assert not any(value in f"{secrets!r} {secrets}" for value in asdict(secrets).values())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.just(b"[" * 100_000))
def test_damaged_secrets_are_refused_and_stay(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever stands in the file, it is not replaced by new keys."""
    directory = tmp_path_factory.mktemp("secrets")
    (directory / "secrets.json").write_bytes(content)
    with pytest.raises(ConfigError, match="damaged"):
        load_secrets(directory, SystemEntropy(), has_data=True)
    assert (directory / "secrets.json").read_bytes() == content


def test_ports_stay_while_they_are_free(tmp_path: Path) -> None:
    """The same ten ports come back at the next start."""
    assert load_ports(tmp_path) == load_ports(tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=100)
    | st.fixed_dictionaries({name: st.integers() | st.floats() | st.text() for name in Ports.__slots__}).map(
        lambda ports: json.dumps(ports).encode()
    )
    | st.just(b"[" * 100_000)
)
def test_impossible_ports_are_chosen_anew(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """A damaged file costs nothing but other ports."""
    directory = tmp_path_factory.mktemp("ports")
    (directory / "ports.json").write_bytes(content)
    ports = load_ports(directory)
    assert ports.are_possible()
    assert ports.are_free()


def test_ports_must_not_meet_another_ones_grpc_port() -> None:
    """Two parts cannot share a door."""
    assert PORTS.are_possible()
    assert not Ports(20001, 30001, 20003, 20004, 20005).are_possible()
    assert not Ports(0, 20002, 20003, 20004, 20005).are_possible()
    assert not Ports(20001, 20002, 20003, 20004, 60000).are_possible()


def test_options_have_no_secret_and_only_the_loopback_address(tmp_path: Path) -> None:
    """The options file binds 127.0.0.1 and turns off what is not needed."""
    lines = options_text(tmp_path / "data", tmp_path / "s3.json", PORTS).splitlines()
    assert {"ip=127.0.0.1", "ip.bind=127.0.0.1", "master.telemetry=false", "webdav=false"} <= set(lines)
    assert {"s3.autoCreateBucket=false", "s3.allowDeleteBucketNotEmpty=false", "s3.port.iceberg=0"} <= set(lines)
    assert "s3.port=20004" in lines


def test_a_directory_name_cannot_smuggle_options(tmp_path: Path) -> None:
    """A line break in a path would start another option, so it is refused."""
    with pytest.raises(ConfigError, match="line break"):
        options_text(tmp_path / "x\nip.bind=0.0.0.0" / "data", tmp_path / "s3.json", PORTS)


def test_sockets_stay_out_of_paths_too_long_for_them(tmp_path: Path) -> None:
    """A deep home gets no socket options, because the kernel would refuse such addresses."""
    assert "s3.localSocket=" in options_text(Path("/home/data"), Path("/home/s3.json"), PORTS)
    assert "localSocket" not in options_text(tmp_path / ("d" * 120) / "data", tmp_path / "s3.json", PORTS)


def test_the_tls_key_is_private_and_new_each_time(tmp_path: Path) -> None:
    """Every part is told the same certificate, and an old key is worth nothing after a restart."""
    variables = mutual_tls(tmp_path)
    first = (tmp_path / "grpc.key").read_bytes()
    assert variables["WEED_GRPC_CA"] == variables["WEED_GRPC_FILER_CERT"] == str(tmp_path / "grpc.pem")
    assert (tmp_path / "grpc.key").stat().st_mode & 0o777 == 0o600
    mutual_tls(tmp_path)
    assert (tmp_path / "grpc.key").read_bytes() != first


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    """A wider mode of an older file does not survive, and no draft stays."""
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_free_ports_make_possible_ports() -> None:
    """What the chooser returns fits the server."""
    assert Ports(*free_ports(5, also_at=10000)).are_possible()
