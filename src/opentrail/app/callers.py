"""IAM and STS put together: who callers are, and how they come to temporary credentials."""

from collections.abc import Mapping

from opentrail.app.core import Core
from opentrail.config import StsSettings, words
from opentrail.identity import saml
from opentrail.services.iam import UNSUPPORTED as IAM_UNSUPPORTED
from opentrail.services.iam import IamService
from opentrail.services.sts.denials import DenialMessages
from opentrail.services.sts.fetcher import HttpFetcher
from opentrail.services.sts.parts import Parts
from opentrail.services.sts.provider_keys import ProviderKeys
from opentrail.services.sts.service import OPEN_TO_ALL, UNSIGNED, StsService
from opentrail.services.sts.service import UNSUPPORTED as STS_UNSUPPORTED

_SAML_RECIPIENTS = frozenset({saml.SIGN_IN, "urn:amazon:webservices"})


def host_identity_services(core: Core) -> None:
    """Serve ``iam`` and ``sts``."""
    clock, entropy, settings = core.world.clock, core.world.entropy, core.world.settings.sts
    core.host("iam", IamService(core.identities, clock, entropy), IAM_UNSUPPORTED)
    parts = Parts(
        directory=core.identities.directory,
        tokens=core.tokens,
        denials=DenialMessages(core.sealing_keys),
        clock=clock,
        entropy=entropy,
        provider_keys=ProviderKeys(HttpFetcher(), _sources(settings), clock),
        saml_recipients=_SAML_RECIPIENTS | frozenset(words(settings.saml_recipients)),
    )
    core.host("sts", StsService(parts), STS_UNSUPPORTED, open_to_all=OPEN_TO_ALL, unsigned=UNSIGNED)


def _sources(settings: StsSettings) -> Mapping[str, str]:
    """Issuer to the file or URL of its keys. An issuer's URL holds no ``=``; what it points to may."""
    entries = (entry.partition("=") for entry in words(settings.oidc_jwks))
    return {issuer.strip(): source.strip() for issuer, _, source in entries}
