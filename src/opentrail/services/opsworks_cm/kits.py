"""What a server's administrator and its nodes are handed: the starter kit, and the facts of the userdata script.

Rules: opsworks-cm fact sheet 7. Both name the server by its URL and say what to trust there.
"""

import base64
import re

from opentrail.events.call import Call
from opentrail.opsworks.endpoints import client_url
from opentrail.opsworks.server import Server
from opentrail.opsworks.starter_kit import AUTHORITY_FILE, CUSTOM_FILE, build_starter_kit
from opentrail.opsworks.userdata import ServerFacts, userdata_script
from opentrail.services.opsworks_cm.parts import Parts

_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)


def server_facts(parts: Parts, server: Server, call: Call, certificate: str | None) -> ServerFacts:
    """What a userdata script says of a server; the API is where the caller of this call found it.

    ``certificate`` is the custom domain's, which may vouch for itself.
    """
    scheme = "http" if call.tls is None else "https"
    return ServerFacts(
        name=server.name,
        endpoint=server.endpoint,
        region=server.region,
        chef_url=client_url(server, parts.scheme),
        api_url=f"{scheme}://{call.host}" if _HOST.fullmatch(call.host) else "",
        root_ca="\n".join(pem.strip() for pem in (parts.authority_pem, certificate) if pem),
    )


def starter_kit(parts: Parts, server: Server, call: Call, private_key: str | None, certificate: str | None) -> str:
    """The ZIP for a server's administrator, in base64; ``certificate`` as above."""
    trusted = {AUTHORITY_FILE: parts.authority_pem, CUSTOM_FILE: certificate or ""}
    kit = build_starter_kit(
        server.name,
        server.endpoint,
        private_key,
        url=client_url(server, parts.scheme),
        trusted={name: pem for name, pem in trusted.items() if pem},
        userdata=userdata_script(server_facts(parts, server, call, certificate)),
    )
    return base64.b64encode(kit).decode("ascii")
