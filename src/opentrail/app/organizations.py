"""Organizations put together: ours, unless the configuration names an upstream for ``organizations``."""

from opentrail.app.core import Core
from opentrail.app.resources import organization_finder
from opentrail.services.organizations import UNSUPPORTED, OrganizationsService
from opentrail.services.organizations.parts import Parts

_SERVICE = "organizations"


def host_organizations(core: Core) -> None:
    """Serve ``organizations``, unless an upstream does."""
    if core.world.settings.is_upstreams(_SERVICE):
        return
    parts = Parts(core.organizations, core.identities, core.world.entropy)
    core.host(_SERVICE, OrganizationsService(parts), UNSUPPORTED)
    core.finders[_SERVICE] = organization_finder(core.organizations)
