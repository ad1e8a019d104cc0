"""Settings: defaults, files, environment, and every problem at once."""

from pathlib import Path

import pytest

from opentrail.config import SECTIONS, UpstreamSettings, load, names_of
from opentrail.errors import ConfigError


def test_without_a_file_every_setting_has_its_default() -> None:
    """No file and no environment: the documented defaults hold."""
    settings = load(None, {})
    assert settings.gateway.port == 4566
    assert settings.delivery.interval_s == 60.0
    assert settings.trails.bucket_policy == "check"


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    """Sections with one and with two words are read."""
    file = tmp_path / "opentrail.toml"
    file.write_text('[delivery]\ninterval_s = 5\n[upstream.s3]\nendpoint = "http://127.0.0.1:1"\ncredentials = "/c"\n')
    settings = load(file, {})
    assert settings.delivery.interval_s == 5.0
    assert settings.upstream_s3.endpoint == "http://127.0.0.1:1"
    assert settings.gateway.port == 4566


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    """OPENTRAIL_SECTION_NAME stands above the file, converted to the setting's type."""
    file = tmp_path / "opentrail.toml"
    file.write_text("[delivery]\ninterval_s = 5\n")
    environment = {"OPENTRAIL_DELIVERY_INTERVAL_S": "2.5", "OPENTRAIL_GATEWAY_TLS": "true", "OPENTRAIL_HOME": "/x"}
    settings = load(file, environment)
    assert settings.delivery.interval_s == 2.5
    assert settings.gateway.tls is True


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Unknown sections, unknown names, wrong types and contradictions come in one error."""
    file = tmp_path / "opentrail.toml"
    file.write_text(
        '[gateway]\nport = "x"\ntls_key = "k"\nnope = 1\n[other]\na = 1\n[delivery]\ninterval_s = 0.5\n'
        "digest_interval_s = 0\ndigest_key_validity_s = -1\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(file, {"OPENTRAIL_LOG_COLOUR": "red"})
    told = "\n".join(caught.value.problems)
    for part in (
        "gateway.port",
        "gateway.tls_certificate",
        "gateway.nope",
        "[other]",
        "delivery.interval_s",
        "delivery.digest_interval_s must",
        "delivery.digest_key_validity_s must",
        "OPENTRAIL_LOG_COLOUR",
    ):
        assert part in told


@pytest.mark.parametrize("text", ["[gateway", "\xff", "upstream = 3", "gateway = 3"])
def test_a_broken_file_is_a_config_error(tmp_path: Path, text: str) -> None:
    """Whatever the file holds, the answer is a ConfigError."""
    file = tmp_path / "opentrail.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        load(file, {})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """A configuration file that was asked for and is absent is an error, not a default."""
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "absent.toml", {})


def test_every_setting_has_a_sentence() -> None:
    """Documentation is part of the table."""
    for section in (*SECTIONS.values(), UpstreamSettings):
        for name, _default, sentence in names_of(section):
            assert sentence.endswith("."), name


def test_upstreams_are_named_freely_and_serve_what_they_say(tmp_path: Path) -> None:
    """Without `services` an upstream serves the service that it is called after; `default` serves all others."""
    file = tmp_path / "opentrail.toml"
    file.write_text(
        '[upstream.queues]\nendpoint = "http://127.0.0.1:1"\ncredentials = "account"\nservices = ["sqs", "sns"]\n'
        '[upstream.dynamodb]\nendpoint = "https://db.example:8000/"\ncredentials = "/c"\nintents = "off"\n'
        '[upstream.default]\nendpoint = "http://127.0.0.1:2"\ncredentials = "account"\n'
    )
    upstreams = load(file, {"OPENTRAIL_UPSTREAM_QUEUES_READ_TIMEOUT_S": "7"}).upstreams
    assert upstreams["queues"].services == ("sqs", "sns")
    assert upstreams["queues"].read_timeout_s == 7.0
    assert upstreams["dynamodb"].services == ("dynamodb",)
    assert not upstreams["dynamodb"].intents
    assert upstreams["default"].services == ("*",)


def test_an_upstream_can_be_given_by_the_environment_alone() -> None:
    """Containers are configured without a file."""
    environment = {
        "OPENTRAIL_UPSTREAM_MINIO_ENDPOINT": "http://minio:9000",
        "OPENTRAIL_UPSTREAM_MINIO_CREDENTIALS": "/run/secrets/minio",
        "OPENTRAIL_UPSTREAM_MINIO_SERVICES": "s3, kms",
    }
    settings = load(None, environment)
    assert settings.upstreams["minio"].services == ("s3", "kms")
    assert settings.upstream_s3.endpoint == "http://minio:9000"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('endpoint = "ftp://x"\ncredentials = "/c"', "upstream.x.endpoint and aliases must be URLs"),
        ('endpoint = "http://h:99999"\ncredentials = "/c"', "must be URLs"),
        ('endpoint = "http://h/path"\ncredentials = "/c"', "must be URLs"),
        ('endpoint = "http://h"', "endpoint and credentials go together"),
        ('endpoint = "http://h"\ncredentials = "account"\nservices = ["s3"]', "credentials must name a file"),
        ('endpoint = "http://h"\ncredentials = "/c"\nowner = "111111111111"', "owner is for the upstream"),
        ('endpoint = "http://h"\ncredentials = "/c"\nundecodable = "drop"', "undecodable must be"),
        ('endpoint = "http://h"\ncredentials = "/c"\nservices = [1]', "services must be an array of texts"),
        (
            'endpoint = "http://h"\ncredentials = "account"\n[upstream.y]\nservices = ["x"]',
            "service `x` is claimed by 2 upstreams",
        ),
    ],
)
def test_an_upstream_that_makes_no_sense_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """What is wrong with it is said by its name."""
    file = tmp_path / "opentrail.toml"
    file.write_text(f"[upstream.x]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert any(told in problem for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('queue_policy = "never"', "sns.queue_policy must be"),
        ('blocked_networks = "10.0.0.0/99"', "sns.blocked_networks must be"),
        ('endpoint = "https://trail.example/path"', "sns.endpoint must be"),
        ('endpoint = "http://["', "sns.endpoint must be"),
        ('smtp = "smtp://["\nsmtp_from = "a@b"', "sns.smtp must be"),
        ('smtp = "http://mail.example"\nsmtp_from = "a@b"', "sns.smtp must be"),
        ('smtp = "smtp://mail.example"', "sns.smtp and sns.smtp_from go together"),
    ],
)
def test_settings_of_sns_are_checked(tmp_path: Path, text: str, sentence: str) -> None:
    """Before any port opens."""
    file = tmp_path / "opentrail.toml"
    file.write_text(f"[sns]\n{text}\n")
    with pytest.raises(ConfigError, match=sentence):
        load(file, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('domain = "chef.example.org"', "opsworks.domain needs opsworks.front_port"),
        ('domain = "https://chef"\nfront_port = 443', "opsworks.domain must be"),
        ('domain = "-a.org"\nfront_port = 443', "opsworks.domain must be"),
        ("front_port = 65536", "opsworks.front_port must be"),
        ('engine = "chef"', "opsworks.engine must be"),
        ('engine = "external"', "go with the engine `external`"),
        ('engine = "external"\nexternal_url = "http://chef.example"\nexternal_key = "k"', "go with the engine"),
        ('engine = "external"\nexternal_url = "https://chef.example/organizations/x"\nexternal_key = "k"', "go with"),
    ],
)
def test_settings_of_opsworks_are_checked(tmp_path: Path, text: str, sentence: str) -> None:
    """Before any port opens."""
    file = tmp_path / "opentrail.toml"
    file.write_text(f"[opsworks]\n{text}\n")
    with pytest.raises(ConfigError, match=sentence):
        load(file, {})
