"""The coverage table tells what IAM and STS answer, and what they do not."""

from pathlib import Path

import pytest

from opentrail.services.iam import UNSUPPORTED as IAM_UNSUPPORTED
from opentrail.services.iam import IamService
from opentrail.services.operation import handlers_of
from opentrail.services.sts.service import UNSUPPORTED as STS_UNSUPPORTED
from opentrail.services.sts.service import StsService

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


@pytest.mark.parametrize(
    ("part", "service", "unsupported"),
    [("IAM", IamService, IAM_UNSUPPORTED), ("STS", StsService, STS_UNSUPPORTED)],
)
def test_the_coverage_table_names_every_operation(part: str, service: type, unsupported: dict[str, str]) -> None:
    """What is served is in the one column, what is refused in the other."""
    row = next(line for line in README.splitlines() if line.startswith(f"| **{part}**"))
    _, _, served, missing, _ = row.split("|")
    for name in handlers_of(object.__new__(service)):
        assert name in served, name
    for name in unsupported:
        assert name in missing, name
