"""Between Chef's API as clients know it (versions 0 and 1, an organization) and the engine's own (Chef 11's).

Pure. Rules: opsworks-cm fact sheet 12.4 to 12.6. Bodies come and go as bytes; what is not JSON stays as it is.
"""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from opentrail.aws.http import Reply
from opentrail.opsworks.engine import ENGINE_URL
from opentrail.opsworks.front.file_links import FileLinks
from opentrail.opsworks.front.refusal import JSON_TYPE, ChefRefusal
from opentrail.opsworks.front.routes import ORGANIZATION, Kind, Route

_URL = re.compile(rb'"' + re.escape(ENGINE_URL.encode("ascii")) + rb'(?:/file_store/([0-9a-f]{32})(?=")|(?=[/"]))')
_USER_MEMBERS = frozenset({"name", "password", "admin", "public_key", "private_key", "openid"})
_VERSIONS = '{{"min_version":"0","max_version":"1","request_version":"{0}","response_version":"{0}"}}'
_NEVER = "infinity"
_OTHER_GROUP: Mapping[str, str] = {"users": "clients", "clients": "users"}


def engine_body(route: Route, body: bytes, api_version: int) -> bytes:
    """The body for the engine: new clients and users in its own members.

    Raises ChefRefusal 400 where it must be a JSON object and is none.
    """
    if route.kind is not Kind.MAKE_ACTOR:
        return body
    actor = _object(body)
    if api_version >= 1 and "public_key" in actor and actor.pop("create_key", False):
        raise ChefRefusal(HTTPStatus.BAD_REQUEST, "You cannot pass both public_key and create_key")
    actor.pop("create_key", None)
    if route.path == "/users":
        actor.setdefault("name", actor.get("username"))
        actor = {name: value for name, value in actor.items() if name in _USER_MEMBERS}
    return json.dumps(actor).encode("utf-8")


def name_taken_by(method: str, route: Route, body: bytes) -> str | None:
    """Where somebody else with the new name of a user or client would be; None where the request gives no name.

    Raises ChefRefusal 400 for a body that is no JSON object.
    """
    _, group, *rest = route.path.split("/")
    if group not in _OTHER_GROUP or method not in {"POST", "PUT"}:
        return None
    name = _object(body).get("name")
    if not isinstance(name, str) or [quote(name, safe="")] == rest:
        return None
    return f"/{_OTHER_GROUP[group]}/{quote(name, safe='')}"


def client_reply(route: Route, reply: Reply, base_url: str, api_version: int) -> Reply:
    """The engine's answer as the client gets it: with a version header, and in version 1 with ``chef_key``."""
    body = reply.body
    if route.kind is Kind.MAKE_ACTOR and reply.status == HTTPStatus.CREATED and api_version >= 1:
        made = _object(body)
        made["chef_key"] = _key(made, private_key=made.pop("private_key", None))
        made.pop("public_key", None)
        body = json.dumps(made).encode("utf-8")
    elif route.kind in {Kind.KEYS, Kind.KEY} and reply.status == HTTPStatus.OK:
        body = _keys(route, _object(body), base_url)
    return Reply(reply.status, dict(reply.headers) | version_header(api_version), body)


def version_header(api_version: int) -> dict[str, str]:
    """Which API versions there are, and which one this answer is in."""
    return {"x-ops-server-api-version": _VERSIONS.format(api_version)}


def with_own_urls(route: Route, body: bytes, base_url: str, server_id: str, links: FileLinks, now_s: int) -> bytes:
    """A JSON body with the door's URLs in place of the engine's. Where the engine means somebody to read or write
    files, those become links.
    """
    linked = route.kind in {Kind.SANDBOX, Kind.COOKBOOK}
    writes = route.kind is Kind.SANDBOX
    inside = f'"{base_url}/organizations/{ORGANIZATION}'

    def own(found: re.Match[bytes]) -> bytes:
        checksum = (found.group(1) or b"").decode("ascii")
        if not checksum:
            return inside.encode("utf-8")
        query = f"?{links.query(server_id, checksum, now_s, writes=writes)}" if linked else ""
        return f"{inside}/file_store/{checksum}{query}".encode()

    return _URL.sub(own, body)


def organizations(base_url: str) -> Reply:
    """The list of organizations: one."""
    return _json({ORGANIZATION: f"{base_url}/organizations/{ORGANIZATION}"})


def organization(server_id: str) -> Reply:
    """The one organization."""
    return _json({"name": ORGANIZATION, "full_name": ORGANIZATION, "guid": server_id.replace("-", "")})


def status() -> Reply:
    """What Chef's own servers say to whoever asks whether they are there."""
    return _json({"status": "pong"})


def principal_of(reply: Reply) -> tuple[str, str] | None:
    """The name and public key in the engine's answer about a principal; None where it is no such answer."""
    try:
        found = json.loads(reply.body)
        name, key = found["name"], found["public_key"]
    except (ValueError, KeyError, TypeError):
        return None
    return (name, key) if reply.status == HTTPStatus.OK and isinstance(name, str) and isinstance(key, str) else None


def _keys(route: Route, actor: Mapping[str, Any], base_url: str) -> bytes:
    if route.kind is Kind.KEY:
        return json.dumps(_key(actor)).encode("utf-8")
    uri = f"{base_url}/organizations/{ORGANIZATION}{route.path}/keys/default"
    return json.dumps([{"uri": uri, "name": "default", "expired": False}]).encode("utf-8")


def _key(actor: Mapping[str, Any], private_key: object = None) -> dict[str, Any]:
    key = {"name": "default", "public_key": actor.get("public_key"), "expiration_date": _NEVER}
    return key | ({} if private_key is None else {"private_key": private_key})


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ChefRefusal(HTTPStatus.BAD_REQUEST, "The body must be a JSON object")
    return found


def _json(content: object) -> Reply:
    return Reply(int(HTTPStatus.OK), JSON_TYPE, json.dumps(content).encode("utf-8"))
