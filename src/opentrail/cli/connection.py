"""How commands reach OpenTrail: through the running gateway, or, while none runs, by opening HOME themselves.

Either way it is the same operation of the ``opentrail`` service, authorised and recorded.
"""

from collections.abc import Mapping
from typing import Any

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.config import Settings
from opentrail.errors import ApiError, ConfigError, OutboundError
from opentrail.services.opentrail import MODEL_PATH
from opentrail.state.home import Home, HomeLock, holder_of


def root_key(home: Home) -> tuple[str, str]:
    """The default account's root key (id, secret). Raises ConfigError where HOME holds none."""
    key = home.root_key()
    if key is None:
        raise ConfigError(f"{home.root} holds no OpenTrail yet; start one with `opentrail up`")
    return key


def call_opentrail(
    home: Home, settings: Settings, operation: str, parameters: Mapping[str, Any], *, patience_s: float = 60.0
) -> Mapping[str, Any]:
    """One call to the ``opentrail`` service. Raises ApiError for refusals, OutboundError where nobody answers.

    ``patience_s``: how long the running gateway may take.
    """
    lock = HomeLock.acquire(home)
    if lock is not None:
        from opentrail.app.core import World, open_offline

        with open_offline(World(home, settings, SystemClock(), SystemEntropy()), lock) as core:
            return core.call("opentrail", operation, parameters)
    facts = home.endpoint()
    if facts is None:
        raise OutboundError(
            "NotReady", f"process {holder_of(home)} uses {home.root} but does not answer yet; try again"
        )
    return _over_http(home, facts, operation, parameters, patience_s=patience_s)


def _over_http(
    home: Home, facts: Mapping[str, Any], operation: str, parameters: Mapping[str, Any], *, patience_s: float
) -> Mapping[str, Any]:
    import botocore.exceptions
    import botocore.session
    from botocore.config import Config

    session = botocore.session.Session()
    session.set_config_variable("data_path", str(MODEL_PATH))
    key, secret = root_key(home)
    client = session.create_client(
        "opentrail",
        region_name="us-east-1",
        endpoint_url=facts["url"],
        verify=facts.get("authority") or True,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(
            retries={"total_max_attempts": 1},
            user_agent="opentrail-cli",
            parameter_validation=False,
            read_timeout=patience_s,
        ),
    )
    try:
        answer = client._make_api_call(operation, dict(parameters))  # noqa: SLF001 - botocore's call by API name
    except botocore.exceptions.ClientError as error:
        raise ApiError(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
    except botocore.exceptions.BotoCoreError as error:
        raise OutboundError("NotReachable", f"{facts['url']} does not answer: {error}") from error
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}
