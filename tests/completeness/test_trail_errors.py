"""Each error that CloudTrail's model has for a trail operation is produced by a row of the table, or has its reason."""

from pathlib import Path

import botocore.session
import pytest

from tests.oracle.trail_errors import ROWS

CHANGING = (
    "DeleteTrail",
    "PutEventConfiguration",
    "PutEventSelectors",
    "PutInsightSelectors",
    "StartLogging",
    "StopLogging",
)
LOOKING = (
    "DescribeTrails",
    "GetEventConfiguration",
    "GetEventSelectors",
    "GetInsightSelectors",
    "GetTrail",
    "GetTrailStatus",
)
LISTING = ("ListPublicKeys", "ListTags", "ListTrails")
POLICIES = ("DeleteResourcePolicy", "GetResourcePolicy", "PutResourcePolicy")
ADMINISTRATORS = ("DeregisterOrganizationDelegatedAdmin", "RegisterOrganizationDelegatedAdmin")
OPERATIONS = frozenset(
    ("AddTags", "RemoveTags", "CreateTrail", "UpdateTrail", *CHANGING, *LOOKING, *LISTING, *POLICIES, *ADMINISTRATORS)
)
NO_LAKE = "there is no CloudTrail Lake: what is about an event data store is UnsupportedOperationException"
NO_ROLE = "it is about service-linked roles and permissions in other services, which nothing here needs"
UNUSED = "the model says that it is no longer in use"

# Why an error cannot be produced, for every operation that has no row for it.
REASONS = {
    "CloudTrailInvalidClientTokenIdException": "it is about topics of suspended accounts; none ever is",
    "CloudWatchLogsDeliveryUnavailableException": "the embedded MiniStack has log groups; unit tests leave it out",
    "ConflictException": "changes wait for each other, and a trail is ready as soon as it is answered",
    "EventDataStoreARNInvalidException": NO_LAKE,
    "EventDataStoreNotFoundException": NO_LAKE,
    "InactiveEventDataStoreException": NO_LAKE,
    "InsufficientDependencyServiceAccessPermissionException": NO_ROLE,
    "InsufficientIAMAccessPermissionException": NO_ROLE,
    "InvalidEventDataStoreCategoryException": NO_LAKE,
    "InvalidEventDataStoreStatusException": NO_LAKE,
    "InvalidEventSelectorsException": "UpdateTrail takes no event selectors",
    "InvalidKmsKeyIdException": "a malformed key is KmsKeyNotFoundException (cloudtrail fact sheet 3.6)",
    "InvalidParameterException": "what the model restricts is ValidationException, and the rest has codes of its own",
    "InvalidTrailNameException": "tags are asked for by ARN, and a malformed one is CloudTrailARNInvalidException",
    "KmsKeyDisabledException": UNUSED,
    "NoManagementAccountSLRExistsException": NO_ROLE,
    "OperationNotPermittedException": "no operation is closed to whole accounts; a caller is denied by his policies",
    "ResourcePolicyNotFoundException": "no resource exists that could have a policy and has none",
    "ThrottlingException": "nothing is throttled",
    "TrailNotProvidedException": UNUSED,
    "UnsupportedOperationException": "the operation is served, whatever its parameters",
}

# What takes an organization, which boto3 cannot make here: the tests of organization trails produce it.
ORGANIZATIONS = Path(__file__).parents[1] / "unit" / "test_organization_trails.py"
OF_ORGANIZATIONS = frozenset(
    f"{name}Exception"
    for name in (
        *("AccountNotFound", "AccountNotRegistered", "AccountRegistered", "CannotDelegateManagementAccount"),
        *("CloudTrailAccessNotEnabled", "DelegatedAdminAccountLimitExceeded", "NotOrganizationManagementAccount"),
        *("NotOrganizationMasterAccount", "OrganizationNotInAllFeaturesMode"),
    )
)

# Codes outside the list of their operation: the validator's, which every service has, and one of CloudTrail's own.
COMMON = frozenset({"ValidationException"})
BEYOND = frozenset({("ListTrails", "InvalidNextTokenException")})


@pytest.fixture(scope="module")
def modelled() -> frozenset[tuple[str, str]]:
    """Every pair of a trail operation and an error that the model has for it."""
    model = botocore.session.get_session().get_service_model("cloudtrail")
    return frozenset((name, error.name) for name in OPERATIONS for error in model.operation_model(name).error_shapes)


PRODUCED = frozenset((row.operation, row.code) for row in ROWS)


def test_every_error_has_a_row_or_a_reason(modelled: frozenset[tuple[str, str]]) -> None:
    """No error of the model is passed over in silence."""
    assert sorted(pair for pair in modelled - PRODUCED if pair[1] not in {*REASONS, *OF_ORGANIZATIONS}) == []


def test_every_reason_is_needed(modelled: frozenset[tuple[str, str]]) -> None:
    """An error that every operation produces which has it needs no reason why not."""
    needed = {code for _, code in modelled - PRODUCED}
    assert needed == {*REASONS, *OF_ORGANIZATIONS}


def test_what_takes_an_organization_is_produced_by_its_tests() -> None:
    """Their file names each of these codes."""
    text = ORGANIZATIONS.read_text()
    assert [code for code in sorted(OF_ORGANIZATIONS) if code not in text] == []


def test_what_is_produced_is_modelled(modelled: frozenset[tuple[str, str]]) -> None:
    """A refusal is one of its operation's errors, but for those that are common to all services and a known one."""
    beyond = {pair for pair in PRODUCED - modelled if pair[1] not in COMMON}
    assert beyond == BEYOND


def test_every_operation_has_a_row() -> None:
    """All trail operations are in the table, and nothing else."""
    assert {row.operation for row in ROWS} == OPERATIONS
