"""Trails of organizations: whose events they keep, who sees them, who changes them, and where their files go."""

from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.errors import ApiError
from opentrail.events.selectors_matching import EventFacts
from opentrail.identity.policy import parse
from opentrail.organizations.organization import Member, Organization
from opentrail.organizations.organization_set import OrganizationSet
from opentrail.organizations.store import Delegation
from opentrail.trails.names import parse_reference
from opentrail.trails.organizations import TRUSTED_SERVICE
from opentrail.trails.routing import routes
from opentrail.trails.trail import Trail
from opentrail.trails.trail_set import TrailSet
from tests.unit.test_cloudtrail_service import ACCOUNT, World, refusal

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MEMBER, DELEGATE, STRANGER = "210987654321", "222222222222", "333333333333"
ID = "o-exampleorg1"
ARN = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/audit"


def organization(**changes: Any) -> Organization:
    """The default account's organization, which lets CloudTrail in, with a member and a delegated administrator."""
    accounts = {
        account_id: Member(account_id, f"{account_id}@example.com", account_id, NOW, "INVITED")
        for account_id in (ACCOUNT, MEMBER, DELEGATE)
    }
    values: dict[str, Any] = {
        "organization_id": ID,
        "master_account_id": ACCOUNT,
        "master_email": f"{ACCOUNT}@example.com",
        "feature_set": "ALL",
        "root_id": "r-ab12",
        "created_at": NOW,
        "trusted_services": frozenset({TRUSTED_SERVICE}),
        "members": accounts,
        "delegated": {TRUSTED_SERVICE: frozenset({DELEGATE})},
    }
    return Organization(**{**values, **changes})


def trail(name: str = "audit", **changes: Any) -> Trail:
    """A trail of the organization that logs in us-east-1."""
    values: dict[str, Any] = {
        "trail_id": name,
        "account_id": ACCOUNT,
        "home_region": "us-east-1",
        "name": name,
        "bucket": "logs-bucket",
        "created_at": NOW,
        "is_logging": True,
        "organization_id": ID,
        "is_organization": True,
    }
    return Trail(**{**values, **changes})


def routed(trails: TrailSet, account_id: str, region: str = "us-east-1") -> tuple[str, ...]:
    """The trails that keep a management event of an account."""
    facts = EventFacts(
        event_category="Management", read_only=False, event_source="sqs.amazonaws.com", event_name="CreateQueue"
    )
    return routes(
        trails,
        account_id=account_id,
        region=region,
        event_source=facts.event_source,
        event_category="Management",
        facts=lambda: facts,
    )


# Whose events


def test_an_organization_s_trail_keeps_its_members_events_besides_their_own_trails() -> None:
    """Every member's events are kept, in the trail's regions; nobody else's are."""
    own = trail("own", account_id=MEMBER, is_organization=False, organization_id=None)
    trails = TrailSet([trail(), own], OrganizationSet([organization()]))
    assert routed(trails, ACCOUNT) == routed(trails, DELEGATE) == ("audit",)
    assert routed(trails, MEMBER) == ("audit", "own")
    assert routed(trails, STRANGER) == routed(trails, MEMBER, "eu-west-1") == ()
    everywhere = TrailSet([trail(is_multi_region=True)], OrganizationSet([organization()]))
    assert routed(everywhere, MEMBER, "eu-west-1") == ("audit",)


@pytest.mark.parametrize(
    "organizations",
    [[], [organization(trusted_services=frozenset())]],
    ids=["gone", "CloudTrail is shut out"],
)
def test_without_the_organization_s_consent_a_trail_is_its_account_s_alone(organizations: list[Organization]) -> None:
    """The members' events are kept no more, and they do not see the trail."""
    trails = TrailSet([trail()], OrganizationSet(organizations))
    assert routed(trails, ACCOUNT) == ("audit",)
    assert routed(trails, MEMBER) == ()
    assert trails.visible_to(MEMBER) == ()


@pytest.mark.parametrize("changed", [{"is_logging": False}, {"is_organization": False}, {"deleted_at": NOW}])
def test_what_does_not_log_for_the_organization_keeps_nothing(changed: dict[str, Any]) -> None:
    """A stopped trail, a deleted one, and one that is of its account alone again."""
    assert routed(TrailSet([trail(**changed)], OrganizationSet([organization()])), MEMBER) == ()


def test_members_find_it_by_arn_and_by_name_behind_their_own() -> None:
    """A member's own trail of the name comes first."""
    trails = TrailSet([trail()], OrganizationSet([organization()]))
    for name in (ARN, "audit"):
        reference = parse_reference(name, account_id=MEMBER, region="us-east-1")
        assert trails.find(reference, MEMBER) == trail()
        assert trails.find(reference, STRANGER) is None
    elsewhere = parse_reference("audit", account_id=MEMBER, region="eu-west-1")
    assert trails.find(elsewhere, MEMBER) is None
    own = trail(trail_id="own", account_id=MEMBER, is_organization=False, organization_id=None)
    both = TrailSet([trail(), own], OrganizationSet([organization()]))
    assert both.find(parse_reference("audit", account_id=MEMBER, region="us-east-1"), MEMBER) == own
    assert both.of(MEMBER) == (own,)  # what counts for limits and names


# The API


@pytest.fixture
def world() -> World:
    """A world whose default account has the organization, and whose bucket takes its files."""
    world = World()
    with world.database.unit() as unit:
        world.organizations.create(unit, organization())
    world.buckets.known = parse(
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},'
        '"Action":"s3:GetBucketAcl","Resource":"arn:aws:s3:::logs-bucket"},{"Effect":"Allow","Principal":{"Service":'
        f'"cloudtrail.amazonaws.com"}},"Action":"s3:PutObject","Resource":"arn:aws:s3:::logs-bucket/AWSLogs/{ID}/*",'
        f'"Condition":{{"StringEquals":{{"aws:SourceArn":"{ARN}"}}}}}}]}}'
    )
    return world


def listed(world: World, account_id: str, **request: Any) -> list[str]:
    """The names that DescribeTrails shows an account."""
    found = world.call("DescribeTrails", account_id=account_id, **request)["trailList"]
    return [described["Name"] for described in found]


@pytest.mark.parametrize("maker", [ACCOUNT, DELEGATE])
def test_it_belongs_to_the_management_account_whoever_makes_it(world: World, maker: str) -> None:
    """Its ARN, its marker object and its bucket policy are those of the management account's trail."""
    made = world.call(
        "CreateTrail", account_id=maker, Name="audit", S3BucketName="logs-bucket", IsOrganizationTrail=True
    )
    assert (made["TrailARN"], made["IsOrganizationTrail"]) == (ARN, True)
    assert world.only_trail().account_id == ACCOUNT
    assert f"AWSLogs/{ID}/{ACCOUNT}/CloudTrail/" in list(world.store.list_keys("logs-bucket", ""))
    for account_id in (ACCOUNT, MEMBER, DELEGATE):
        assert listed(world, account_id) == ["audit"]
        assert world.call("ListTrails", account_id=account_id)["Trails"][0]["TrailARN"] == ARN
        assert world.call("GetTrail", account_id=account_id, Name=ARN)["Trail"]["IsOrganizationTrail"] is True
        assert world.call("GetTrailStatus", account_id=account_id, Name=ARN)["IsLogging"] is False
        tags = world.call("ListTags", account_id=account_id, ResourceIdList=[ARN])
        assert tags == {"ResourceTagList": [{"ResourceId": ARN, "TagsList": []}]}
    assert listed(world, MEMBER, includeShadowTrails=False) == listed(world, STRANGER) == []
    assert listed(world, MEMBER, trailNameList=[ARN]) == ["audit"]
    assert listed(world, MEMBER, trailNameList=["audit"]) == []  # names stand for the account's own trails


def test_a_bucket_without_the_organization_s_statement_is_refused(world: World) -> None:
    """The statement of the account alone is not enough; the message names the resource that is missing."""
    world.buckets.known = None
    code, message = refusal(world, "CreateTrail", Name="audit", S3BucketName="logs-bucket", IsOrganizationTrail=True)
    assert code == "InsufficientS3BucketPolicyException"
    assert f"arn:aws:s3:::logs-bucket/AWSLogs/{ID}/*" in message


@pytest.mark.parametrize(
    ("account_id", "changed", "code"),
    [
        (STRANGER, {}, "OrganizationsNotInUseException"),
        (MEMBER, {}, "NotOrganizationMasterAccountException"),
        (ACCOUNT, {"feature_set": "CONSOLIDATED_BILLING"}, "OrganizationNotInAllFeaturesModeException"),
        (ACCOUNT, {"trusted_services": frozenset()}, "CloudTrailAccessNotEnabledException"),
    ],
)
def test_who_may_not_have_one(account_id: str, changed: dict[str, Any], code: str) -> None:
    """Each reason has its code, and nothing is made."""
    world = World()
    with world.database.unit() as unit:
        world.organizations.create(unit, organization(**changed))
    with pytest.raises(ApiError) as refused:
        world.call(
            "CreateTrail", account_id=account_id, Name="audit", S3BucketName="logs-bucket", IsOrganizationTrail=True
        )
    assert refused.value.code == code
    assert world.trails.snapshot.every() == ()


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("DeleteTrail", {"Name": ARN}),
    ("StartLogging", {"Name": ARN}),
    ("StopLogging", {"Name": ARN}),
    ("UpdateTrail", {"Name": ARN, "EnableLogFileValidation": True}),
    ("PutEventSelectors", {"TrailName": ARN, "EventSelectors": [{"ReadWriteType": "All"}]}),
    ("PutInsightSelectors", {"TrailName": ARN, "InsightSelectors": [{"InsightType": "ApiErrorRateInsight"}]}),
    ("PutEventConfiguration", {"TrailName": ARN, "AggregationConfigurations": []}),
    ("AddTags", {"ResourceId": ARN, "TagsList": [{"Key": "k", "Value": "v"}]}),
    ("RemoveTags", {"ResourceId": ARN, "TagsList": [{"Key": "k"}]}),
]


@pytest.mark.parametrize(("operation", "request_"), CHANGES, ids=[operation for operation, _ in CHANGES])
def test_members_do_not_change_it_and_delegated_administrators_do(
    world: World, operation: str, request_: dict[str, Any]
) -> None:
    """NotOrganizationMasterAccountException for a member, whose call changes nothing."""
    world.create(IsOrganizationTrail=True)
    before = world.only_trail()
    with pytest.raises(ApiError) as refused:
        world.call(operation, account_id=MEMBER, **request_)
    assert refused.value.code == "NotOrganizationMasterAccountException"
    assert world.only_trail() == before
    world.call(operation, account_id=DELEGATE, **request_)
    assert operation == "StopLogging" or world.only_trail() != before


def test_a_trail_becomes_the_organization_s_and_its_account_s_again(world: World) -> None:
    """UpdateTrail: the bucket is tried anew, members see it from then on and no more afterwards."""
    policy = world.buckets.known
    world.buckets.known = parse(
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},'
        f'"Action":"s3:*","Resource":["arn:aws:s3:::logs-bucket","arn:aws:s3:::logs-bucket/AWSLogs/{ACCOUNT}/*"]}}]}}'
    )
    world.create()
    assert listed(world, MEMBER) == []
    refused = refusal(world, "UpdateTrail", Name="audit", IsOrganizationTrail=True)
    assert refused[0] == "InsufficientS3BucketPolicyException"
    both, world.buckets.known = world.buckets.known, policy
    assert world.call("UpdateTrail", Name="audit", IsOrganizationTrail=True)["IsOrganizationTrail"] is True
    assert listed(world, MEMBER) == ["audit"]
    world.buckets.known = both
    assert world.call("UpdateTrail", Name="audit", IsOrganizationTrail=False)["IsOrganizationTrail"] is False
    assert listed(world, MEMBER) == []


def test_a_delegate_s_own_trail_does_not_become_the_organization_s(world: World) -> None:
    """Only the management account's trails can."""
    world.buckets.known = parse(
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},'
        '"Action":"s3:*","Resource":["arn:aws:s3:::logs-bucket","arn:aws:s3:::logs-bucket/*"]}]}'
    )
    world.call("CreateTrail", account_id=DELEGATE, Name="mine", S3BucketName="logs-bucket")
    with pytest.raises(ApiError, match="NotOrganizationMasterAccountException"):
        world.call("UpdateTrail", account_id=DELEGATE, Name="mine", IsOrganizationTrail=True)


# Delegated administrators


def test_delegated_administrators_are_registered_and_removed(world: World) -> None:
    """A member comes to administer the trails, and is a member like others afterwards."""
    world.create(IsOrganizationTrail=True)
    world.call("RegisterOrganizationDelegatedAdmin", MemberAccountId=MEMBER)
    world.call("StartLogging", account_id=MEMBER, Name=ARN)
    world.call("DeregisterOrganizationDelegatedAdmin", DelegatedAdminAccountId=MEMBER)
    with pytest.raises(ApiError, match="NotOrganizationMasterAccountException"):
        world.call("StopLogging", account_id=MEMBER, Name=ARN)


@pytest.mark.parametrize(
    ("caller", "operation", "account_id", "code"),
    [
        (STRANGER, "Register", MEMBER, "OrganizationsNotInUseException"),
        (MEMBER, "Register", MEMBER, "NotOrganizationManagementAccountException"),
        (DELEGATE, "Deregister", DELEGATE, "NotOrganizationManagementAccountException"),
        (ACCOUNT, "Register", STRANGER, "AccountNotFoundException"),
        (ACCOUNT, "Register", ACCOUNT, "CannotDelegateManagementAccountException"),
        (ACCOUNT, "Register", DELEGATE, "AccountRegisteredException"),
        (ACCOUNT, "Deregister", MEMBER, "AccountNotRegisteredException"),
        (ACCOUNT, "Deregister", STRANGER, "AccountNotFoundException"),
    ],
)
def test_refusals_of_delegation(world: World, caller: str, operation: str, account_id: str, code: str) -> None:
    """Every reason has its code."""
    member = {"Register": "MemberAccountId", "Deregister": "DelegatedAdminAccountId"}[operation]
    before = world.organizations.snapshot.of(ACCOUNT)
    with pytest.raises(ApiError) as refused:
        world.call(f"{operation}OrganizationDelegatedAdmin", account_id=caller, **{member: account_id})
    assert refused.value.code == code
    assert world.organizations.snapshot.of(ACCOUNT) == before


def test_there_are_three_delegated_administrators_at_most(world: World) -> None:
    """The fourth is refused."""
    with world.database.unit() as unit:
        for number in (4, 5, 6):
            account_id = str(number) * 12
            world.organizations.put_member(unit, ID, Member(account_id, f"{number}@example.com", "m", NOW, "CREATED"))
            if number < 6:
                world.organizations.delegate(unit, ID, Delegation(account_id, TRUSTED_SERVICE, NOW))
    with pytest.raises(ApiError, match="DelegatedAdminAccountLimitExceededException"):
        world.call("RegisterOrganizationDelegatedAdmin", MemberAccountId="6" * 12)


def test_delegation_needs_an_organization_that_lets_cloudtrail_in(world: World) -> None:
    """CloudTrailAccessNotEnabledException."""
    with world.database.unit() as unit:
        world.organizations.distrust(unit, ID, TRUSTED_SERVICE)
    assert refusal(world, "RegisterOrganizationDelegatedAdmin", MemberAccountId=MEMBER)[0] == (
        "CloudTrailAccessNotEnabledException"
    )
