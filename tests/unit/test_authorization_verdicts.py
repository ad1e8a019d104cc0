"""The whole evaluation: who is allowed what by which policies, and which statement is named for it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from opentrail.clock import SystemClock
from opentrail.identity.authorization import (
    Limb,
    NamedPolicy,
    PolicySet,
    ResourcePolicy,
    Verdict,
    assume_verdict,
    authorize,
    denial_text,
    explain,
)
from opentrail.identity.context import principal_context
from opentrail.identity.policy import parse, parse_identity, parse_trust
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.identity.statements import AccessRequest, Decision

HOME, AWAY = "111111111111", "222222222222"
USER = Principal(PrincipalType.IAM_USER, HOME, "AIDA1", f"arn:aws:iam::{HOME}:user/ada", user_name="ada")
ROOT = Principal(PrincipalType.ROOT, HOME, HOME, f"arn:aws:iam::{HOME}:root")
ROLE = f"arn:aws:iam::{HOME}:role/path/ops"
NOW = SystemClock().now()
SESSION = Principal(
    PrincipalType.ASSUMED_ROLE,
    HOME,
    "AROA1:night",
    f"arn:aws:sts::{HOME}:assumed-role/ops/night",
    session=SessionContext(NOW, issuer=SessionIssuer("Role", "AROA1", ROLE, HOME, "ops")),
)
FEDERATED = Principal(
    PrincipalType.FEDERATED_USER,
    HOME,
    f"{HOME}:guest",
    f"arn:aws:sts::{HOME}:federated-user/guest",
    session=SessionContext(NOW, issuer=SessionIssuer("IAMUser", "AIDA1", USER.arn, HOME, "ada")),
)
SERVICE = Principal(PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com")
PROVIDER = f"arn:aws:iam::{HOME}:oidc-provider/id.example.org"
WEB = Principal(PrincipalType.WEB_IDENTITY_USER, HOME, "id:app:sub", identity_provider=PROVIDER)
RESOURCE = "arn:aws:sqs:eu-west-1:1:jobs"
ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY = {**ALLOW, "Effect": "Deny", "Sid": "Never"}
NOTHING = {**ALLOW, "Action": "nobody:needs"}


def named(name: str, *statements: Mapping[str, Any]) -> NamedPolicy:
    """An identity policy of these statements."""
    return NamedPolicy(name, parse_identity(json.dumps({"Version": "2012-10-17", "Statement": list(statements)})))


ALL, NONE = named("all", ALLOW), named("none", NOTHING)


def at_resource(principal: Any, effect: str = "Allow", owner: str = HOME) -> ResourcePolicy:
    """A resource's policy with one statement about a principal."""
    statement = {"Effect": effect, "Principal": principal, "Action": "*", "Resource": "*"}
    return ResourcePolicy(owner, parse(json.dumps({"Version": "2012-10-17", "Statement": statement})))


def ask(principal: Principal, policies: PolicySet, resource: ResourcePolicy | None = None) -> Verdict:
    """The verdict on one request of a principal."""
    return authorize(request_of(principal), policies, resource=resource)


def request_of(principal: Principal, action: str = "sqs:SendMessage", resource: str = RESOURCE) -> AccessRequest:
    """A request of a principal."""
    return AccessRequest(principal, action, resource, principal_context(principal))


@pytest.mark.parametrize("principal", [USER, SESSION])
@pytest.mark.parametrize(
    ("policies", "allowed", "limb", "policy", "statement"),
    [
        (PolicySet(), False, Limb.IDENTITY, None, None),
        (PolicySet((NONE, ALL)), True, Limb.IDENTITY, "all", "Statement[0]"),
        (PolicySet((ALL, named("mixed", ALLOW, DENY))), False, Limb.IDENTITY, "mixed", "Never"),
        (PolicySet((ALL,), boundary=NONE), False, Limb.BOUNDARY, None, None),
        (PolicySet((NONE,), boundary=ALL), False, Limb.IDENTITY, None, None),
        (PolicySet((ALL,), boundary=ALL), True, Limb.IDENTITY, "all", "Statement[0]"),
        (PolicySet((ALL,), boundary=named("edge", DENY)), False, Limb.BOUNDARY, "edge", "Never"),
        (PolicySet((ALL,), session=()), False, Limb.SESSION, None, None),
        (PolicySet((ALL,), session=(NONE, ALL)), True, Limb.IDENTITY, "all", "Statement[0]"),
        (PolicySet((ALL,), session=(ALL, named("s", DENY))), False, Limb.SESSION, "s", "Never"),
    ],
)
def test_own_policies(
    principal: Principal, policies: PolicySet, allowed: bool, limb: Limb, policy: str | None, statement: str | None
) -> None:
    """Identity policies grant, boundaries and session policies limit, a Deny wins; the verdict names who decided."""
    verdict = ask(principal, policies)
    assert (verdict.allowed, verdict.limb) == (allowed, limb)
    assert (verdict.policy, verdict.statement) == (policy, statement)


def test_root_needs_no_policy_and_obeys_the_resource() -> None:
    """Root is allowed with no policy at all, save what a resource-based policy denies; abroad both must allow."""
    assert ask(ROOT, PolicySet()).allowed
    assert not ask(ROOT, PolicySet(), at_resource("*", "Deny")).allowed
    assert not ask(ROOT, PolicySet(), ResourcePolicy(AWAY)).allowed
    assert ask(ROOT, PolicySet(), at_resource({"AWS": HOME}, owner=AWAY)).allowed


LIMITED = PolicySet((NONE,), boundary=NONE, session=(NONE,))
WITHIN = PolicySet((NONE,), boundary=ALL, session=(ALL,))


@pytest.mark.parametrize(
    ("principal", "policies", "meant", "allowed"),
    [
        (USER, PolicySet(boundary=NONE), {"AWS": USER.arn}, True),
        (USER, PolicySet(boundary=NONE), "*", True),
        (USER, PolicySet((NONE,)), {"AWS": HOME}, False),
        (USER, PolicySet((ALL,)), {"AWS": AWAY}, True),
        (SESSION, LIMITED, {"AWS": SESSION.arn}, True),
        (SESSION, LIMITED, {"AWS": ROLE}, False),
        (SESSION, WITHIN, {"AWS": ROLE}, True),
        (SESSION, replace(WITHIN, session=(NONE,)), {"AWS": ROLE}, False),
        (SESSION, replace(WITHIN, boundary=NONE), {"AWS": ROLE}, False),
        (FEDERATED, PolicySet((ALL,)), {"AWS": AWAY}, False),
        (FEDERATED, PolicySet((ALL,), session=(ALL,)), {"AWS": AWAY}, True),
        (FEDERATED, PolicySet(), {"AWS": FEDERATED.arn}, True),
        (FEDERATED, PolicySet(), {"AWS": USER.arn}, False),
        (FEDERATED, PolicySet(session=(ALL,)), {"AWS": USER.arn}, True),
        (SERVICE, PolicySet(), {"Service": "cloudtrail.amazonaws.com"}, True),
        (SERVICE, PolicySet((ALL,)), {"Service": "config.amazonaws.com"}, False),
        (ANONYMOUS, PolicySet(), "*", True),
        (ANONYMOUS, PolicySet((ALL,)), {"AWS": HOME}, False),
        (Principal(PrincipalType.UNKNOWN, HOME), PolicySet((ALL,)), "*", False),
    ],
)
def test_resource_policies_inside_the_account(
    principal: Principal, policies: PolicySet, meant: Any, allowed: bool
) -> None:
    """Naming the caller grants, naming his role grants within limits, naming his account leaves it to his policies."""
    assert ask(principal, policies, at_resource(meant)).allowed is allowed


@pytest.mark.parametrize("meant", [{"AWS": HOME}, {"AWS": SESSION.arn}, {"AWS": ROLE}, "*"])
def test_across_accounts_it_takes_both(meant: Any) -> None:
    """However the other account names the caller, everything on his own side must allow too."""
    abroad = at_resource(meant, owner=AWAY)
    assert ask(SESSION, PolicySet((ALL,), ALL, (ALL,)), abroad).allowed
    for missing in (PolicySet(), PolicySet((ALL,), boundary=NONE), PolicySet((ALL,), session=(NONE,))):
        assert not ask(SESSION, missing, abroad).allowed
    silent = ask(SESSION, PolicySet((ALL,)), ResourcePolicy(AWAY))
    assert (silent.decision, silent.limb) == (Decision.IMPLICIT_DENY, Limb.RESOURCE)


def test_a_resource_s_deny_wins() -> None:
    """A Deny that names only the account reaches everybody in it; NotPrincipal spares nobody with a boundary."""
    verdict = ask(USER, PolicySet((ALL,)), at_resource({"AWS": HOME}, "Deny"))
    assert (verdict.decision, verdict.limb) == (Decision.EXPLICIT_DENY, Limb.RESOURCE)
    statement = {"Effect": "Deny", "NotPrincipal": {"AWS": USER.arn}, "Action": "*", "Resource": "*"}
    spared = ResourcePolicy(HOME, parse(json.dumps({"Statement": statement})))
    assert ask(USER, PolicySet((ALL,)), spared).allowed
    assert not ask(USER, PolicySet((ALL,), boundary=ALL), spared).allowed


@pytest.mark.parametrize(
    ("principal", "policies", "meant", "role_account", "allowed"),
    [
        (USER, PolicySet(), {"AWS": USER.arn}, HOME, True),
        (USER, PolicySet(), {"AWS": HOME}, HOME, False),
        (USER, PolicySet((ALL,)), {"AWS": HOME}, HOME, True),
        (USER, PolicySet((ALL,)), {"AWS": AWAY}, HOME, False),
        (USER, PolicySet((named("no", DENY),)), {"AWS": USER.arn}, HOME, False),
        (USER, PolicySet(), {"AWS": USER.arn}, AWAY, False),
        (USER, PolicySet((ALL,)), {"AWS": HOME}, AWAY, True),
        (SESSION, PolicySet((ALL,), session=(NONE,)), {"AWS": ROLE}, HOME, False),
        (SESSION, PolicySet((NONE,)), {"AWS": ROLE}, HOME, True),
        (ROOT, PolicySet((ALL,)), {"AWS": HOME}, HOME, False),
        (SERVICE, PolicySet(), {"Service": "cloudtrail.amazonaws.com"}, HOME, True),
        (WEB, PolicySet(), {"Federated": PROVIDER}, HOME, True),
        (WEB, PolicySet((ALL,)), {"Federated": f"{PROVIDER}.evil"}, HOME, False),
        (WEB, PolicySet((ALL,)), "*", HOME, False),
        (WEB, PolicySet((ALL,)), {"AWS": HOME}, HOME, False),
    ],
)
def test_trust_policies(
    principal: Principal, policies: PolicySet, meant: Any, role_account: str, allowed: bool
) -> None:
    """The role must trust the caller; unless it names him inside his account, he must be allowed to assume it too."""
    statement = {"Effect": "Allow", "Principal": meant, "Action": "sts:AssumeRole*"}
    trust = parse_trust(json.dumps({"Version": "2012-10-17", "Statement": statement}))
    request = request_of(principal, "sts:AssumeRole", f"arn:aws:iam::{role_account}:role/target")
    assert assume_verdict(request, trust, policies, role_account).allowed is allowed


def test_denials_are_told_in_aws_s_words() -> None:
    """The sentence names caller, action, resource and the kind of policy; what a role trusts is not told."""
    said = f"User: {USER.arn} is not authorized to perform: sqs:SendMessage on resource: {RESOURCE}"
    endings = {
        PolicySet(): " because no identity-based policy allows the sqs:SendMessage action",
        PolicySet((ALL,), boundary=NONE): " because no permissions boundary allows the sqs:SendMessage action",
        PolicySet((ALL,), session=()): " because no session policy allows the sqs:SendMessage action",
        PolicySet((named("x", DENY),)): " with an explicit deny in an identity-based policy",
        PolicySet((ALL,), boundary=named("x", DENY)): " with an explicit deny in a permissions boundary",
    }
    for policies, ending in endings.items():
        assert denial_text(request_of(USER), ask(USER, policies)) == said + ending
    assert denial_text(request_of(USER), Verdict(Decision.EXPLICIT_DENY, limb=Limb.TRUST)) == said


def test_an_explanation_lists_what_every_policy_says() -> None:
    """Each policy's own decision is shown in order, and the verdict that follows from them."""
    policies = PolicySet((NONE, ALL), boundary=ALL, session=(NONE,))
    explanation = explain(request_of(SESSION), policies, resource=at_resource({"AWS": AWAY}))
    assert [(one.policy, one.limb, one.decision) for one in explanation.considered] == [
        ("none", Limb.IDENTITY, Decision.IMPLICIT_DENY),
        ("all", Limb.IDENTITY, Decision.ALLOW),
        ("all", Limb.BOUNDARY, Decision.ALLOW),
        ("none", Limb.SESSION, Decision.IMPLICIT_DENY),
        ("resource-based policy", Limb.RESOURCE, Decision.IMPLICIT_DENY),
    ]
    assert explanation.verdict == ask(SESSION, policies, at_resource({"AWS": AWAY}))
