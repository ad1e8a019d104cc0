"""KMS put together: its keys, its API, and what it does by the clock."""

import logging

from opentrail.app.core import Core
from opentrail.gateway.authorise import call_context
from opentrail.kms.vault import Vault
from opentrail.services.kms import UNSUPPORTED, KmsService
from opentrail.services.kms.parts import Parts
from opentrail.services.operation import handlers_of

_log = logging.getLogger(__name__)


def host_key_service(core: Core) -> bool:
    """Serve ``kms``, unless an upstream is configured to; whether it is ours.

    Its handlers ask key policies themselves, so nothing is asked before them.
    """
    named = [name for name, upstream in core.world.settings.upstreams.items() if "kms" in upstream.services]
    if named:
        _log.info("calls to KMS go to upstream.%s", named[0])
        return False
    directory, clock, entropy = core.identities.directory, core.world.clock, core.world.entropy
    parts = Parts(
        keys=core.keys,
        vault=Vault(entropy),
        clock=clock,
        entropy=entropy,
        policies_of=directory.policies_of,
        context_of=lambda call: call_context(call, directory),
    )
    service = KmsService(parts)
    core.host("kms", service, UNSUPPORTED, open_to_all=frozenset(handlers_of(service)))
    return True
