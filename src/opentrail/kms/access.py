"""May this caller use or change this key? Pure: from a caller, a key and what is asked to a verdict.

Rules (AWS KMS Developer Guide, "Determining access", "Condition keys for AWS KMS"). The key policy decides: identity
policies count only where it lets the account itself in, and for the account's root too. Across accounts both must
allow. There are no grants. Anonymous callers have no way in, whatever a policy says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from opentrail.identity.authorization import PolicySet, Verdict, denial_text, key_verdict
from opentrail.identity.context import Values, resource_tag_context
from opentrail.identity.principal import Principal
from opentrail.identity.statements import AccessRequest
from opentrail.kms.ciphertext import Context
from opentrail.kms.key import Alias, Key

ALGORITHM = "SYMMETRIC_DEFAULT"
NO_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants to use a key: the caller, his own policies, and the condition keys of his request."""

    principal: Principal
    policies: PolicySet
    context: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """The verdict on one action on one key, and AWS's sentence about it where it is a denial."""

    verdict: Verdict
    denial: str

    @property
    def allowed(self) -> bool:
        """Whether it may be done."""
        return self.verdict.allowed


def verdict_on(
    asker: Asker,
    action: str,
    key: Key,
    aliases: Iterable[Alias] = (),
    more: Mapping[str, tuple[str, ...]] = NO_VALUES,
) -> KeyVerdict:
    """Whether a caller may do ``action`` (``kms:Decrypt``) with a key; ``aliases`` are the key's own.

    ``more`` are condition keys of this action alone.
    """
    context = {**asker.context, **key_context(asker.principal, key, aliases), **more}
    request = AccessRequest(asker.principal, action, key.arn, context)
    verdict = key_verdict(request, asker.policies, key.policy, key.account_id)
    return KeyVerdict(verdict, "" if verdict.allowed else _denial(request, verdict, key))


def key_context(principal: Principal, key: Key, aliases: Iterable[Alias] = ()) -> Values:
    """The condition keys that follow from the key, and from whose caller it is."""
    found = resource_tag_context(key.tags)
    found |= {
        "kms:keyspec": (ALGORITHM,),
        "kms:keyusage": ("ENCRYPT_DECRYPT",),
        "kms:keyorigin": ("AWS_KMS",),
        "kms:multiregion": ("false",),
    }
    if principal.account_id:
        found["kms:calleraccount"] = (principal.account_id,)
    if names := tuple(alias.name for alias in aliases):
        found["kms:resourcealiases"] = names
    return found


def encryption_context(context: Context) -> Values:
    """The condition keys of an encryption context: one for each pair, and the names together.

    Names that differ in case alone are one condition key with several values, which no plain operator agrees to.
    """
    found: Values = {"kms:encryptionalgorithm": (ALGORITHM,)}
    for name, value in context.items():
        key = f"kms:encryptioncontext:{name.lower()}"
        found[key] = (*found.get(key, ()), value)
    if context:
        found["kms:encryptioncontextkeys"] = tuple(context)
    return found


def _denial(request: AccessRequest, verdict: Verdict, key: Key) -> str:
    if request.principal.account_id and request.principal.account_id != key.account_id:
        return denial_abroad(request.principal, request.action)
    return denial_text(request, verdict)


def denial_abroad(principal: Principal, action: str) -> str:
    """What callers of other accounts are told: not even whether there is such a key."""
    return (
        f"User: {principal.arn} is not authorized to perform: {action} on this resource because the resource does not "
        "exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies "
        "access"
    )
