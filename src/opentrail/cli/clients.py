"""boto3 clients for this OpenTrail, and small questions commands ask through them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def session(environment: Mapping[str, str]) -> Any:
    """A boto3 session made of the lines that ``opentrail env`` prints, and of nothing else on this machine."""
    import boto3
    import botocore.session

    inner = botocore.session.Session()
    inner.set_config_variable("data_path", environment["AWS_DATA_PATH"])
    return boto3.session.Session(
        botocore_session=inner,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )


def client(environment: Mapping[str, str], service: str) -> Any:
    """A client of one service, path style for S3, without retries: a failure is to be seen, not hidden."""
    from botocore.config import Config

    return session(environment).client(
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        verify=_authority(environment),
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def _authority(environment: Mapping[str, str]) -> str | bool:
    path = environment.get("AWS_CA_BUNDLE", "")
    return path if path and Path(path).exists() else True
