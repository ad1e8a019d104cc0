"""The routes that the door lets through, and what each needs: a list, since the engine answers 200 to anything else.

Pure. Rules: opsworks-cm fact sheet 12.4 and 12.5 (routes that really exist; unknown paths are silent successes).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from urllib.parse import quote, unquote_to_bytes

from opentrail.opsworks.front.refusal import ChefRefusal
from opentrail.opsworks.front.signatures import canonical_path

ORGANIZATION = "default"
JSON_LIMIT_BYTES = 1_000_000
FILE_LIMIT_BYTES = 10_000_000
NEWEST_API_VERSION = 1
LONGEST_SEGMENT = 512
OWN_ACTORS: Mapping[str, frozenset[str]] = {
    "users": frozenset({"admin"}),
    "clients": frozenset({"chef-webui"}),
}
"""What the engine is administered with: changed from outside, nobody could look after the server any more."""


class Kind(Enum):
    """What the door does for a route, besides passing it on."""

    PLAIN = "PLAIN"
    MAKE_ACTOR = "MAKE_ACTOR"
    SANDBOX = "SANDBOX"
    COOKBOOK = "COOKBOOK"
    KEYS = "KEYS"
    KEY = "KEY"
    FILE = "FILE"
    STATUS = "STATUS"
    ORGANIZATIONS = "ORGANIZATIONS"
    ORGANIZATION = "ORGANIZATION"


@dataclass(frozen=True, slots=True)
class Route:
    """One allowed request: the engine's path for it, its kind, and the longest body it may have."""

    kind: Kind
    path: str
    body_limit_bytes: int = JSON_LIMIT_BYTES

    @property
    def is_signed(self) -> bool:
        """Whether it needs a Chef signature; files have links of their own, and the status is no secret."""
        return self.kind not in {Kind.FILE, Kind.STATUS}

    @property
    def last(self) -> str:
        """The path's last segment."""
        return self.path.rpartition("/")[2]


_N = r"[^/]+"
_TABLE: tuple[tuple[str, str, Kind], ...] = (
    ("/_status", "GET", Kind.STATUS),
    ("/organizations", "GET", Kind.ORGANIZATIONS),
    ("/organizations/default", "GET", Kind.ORGANIZATION),
    ("/(clients|users)", "GET HEAD", Kind.PLAIN),
    ("/(clients|users)", "POST", Kind.MAKE_ACTOR),
    (f"/(clients|users)/{_N}", "GET HEAD PUT DELETE", Kind.PLAIN),
    (f"/(clients|users)/{_N}/keys", "GET", Kind.KEYS),
    (f"/(clients|users)/{_N}/keys/default", "GET", Kind.KEY),
    (f"/principals/{_N}", "GET HEAD", Kind.PLAIN),
    ("/authenticate_user", "POST", Kind.PLAIN),
    ("/nodes", "GET HEAD POST", Kind.PLAIN),
    (f"/nodes/{_N}", "GET HEAD PUT DELETE", Kind.PLAIN),
    ("/roles", "GET HEAD POST", Kind.PLAIN),
    (f"/roles/{_N}", "GET HEAD PUT DELETE", Kind.PLAIN),
    (f"/roles/{_N}/environments(/{_N})?", "GET HEAD", Kind.PLAIN),
    ("/environments", "GET HEAD POST", Kind.PLAIN),
    (f"/environments/{_N}", "GET HEAD PUT DELETE", Kind.PLAIN),
    (f"/environments/{_N}/cookbooks(/{_N})?", "GET HEAD", Kind.PLAIN),
    (f"/environments/{_N}/(nodes|recipes|roles/{_N})", "GET HEAD", Kind.PLAIN),
    (f"/environments/{_N}/cookbook_versions", "POST", Kind.COOKBOOK),
    ("/cookbooks", "GET HEAD", Kind.PLAIN),
    ("/cookbooks/(_latest|_recipes)", "GET HEAD", Kind.PLAIN),
    (f"/cookbooks/{_N}", "GET HEAD", Kind.PLAIN),
    (f"/cookbooks/{_N}/{_N}", "GET HEAD PUT DELETE", Kind.COOKBOOK),
    ("/data", "GET HEAD POST", Kind.PLAIN),
    (f"/data/{_N}", "GET HEAD POST DELETE", Kind.PLAIN),
    (f"/data/{_N}/{_N}", "GET HEAD PUT DELETE", Kind.PLAIN),
    ("/search", "GET HEAD", Kind.PLAIN),
    ("/search/reindex", "POST", Kind.PLAIN),
    (f"/search/{_N}", "GET HEAD POST", Kind.PLAIN),
    ("/sandboxes", "POST", Kind.SANDBOX),
    (f"/sandboxes/{_N}", "PUT", Kind.PLAIN),
    ("/file_store/[0-9a-f]{32}", "GET HEAD PUT", Kind.FILE),
    ("/universe", "GET HEAD", Kind.PLAIN),
    (f"/reports/(nodes|org)/{_N}(/{_N})*", "GET HEAD POST", Kind.PLAIN),
    (f"/reports/(nodes|org)/{_N}/{_N}", "POST", Kind.PLAIN),
    (f"/status/(all/nodes|node/{_N}/(latest|all))", "GET HEAD", Kind.PLAIN),
    ("/events", "GET HEAD", Kind.PLAIN),
    (f"/events/{_N}", "GET HEAD", Kind.PLAIN),
)
_ROUTES = tuple((re.compile(pattern), frozenset(methods.split()), kind) for pattern, methods, kind in _TABLE)
_SAFE = re.compile(r"[A-Za-z0-9_.:~+@=,\- ]+")
_POLICIES = re.compile(r"/(policies|policy_groups|cookbook_artifacts)(/.*)?")
_KEYS = re.compile(f"/(clients|users)/{_N}/keys(/{_N})?")


def find_route(method: str, raw_path: str) -> Route:
    """The route of a request, whose path is as it was sent, without its query.

    Raises ChefRefusal: 404 for paths off the list and organizations that are not there, 405 for methods, 403 for what
    would take the engine from its administrator, 501 for Policyfiles, which goiardi does not have.
    """
    path = _inside(_plain(raw_path))
    if _POLICIES.fullmatch(path):
        raise ChefRefusal(
            HTTPStatus.NOT_IMPLEMENTED, "Policyfiles are not supported: use roles, environments and cookbooks"
        )
    matches = [(methods, kind) for pattern, methods, kind in _ROUTES if pattern.fullmatch(path)]
    if not matches and not _KEYS.fullmatch(path):
        raise ChefRefusal(HTTPStatus.NOT_FOUND, "No such path in this Chef server's API")
    kind = next((kind for methods, kind in matches if method in methods), None)
    if kind is None:
        if _KEYS.fullmatch(path):
            text = "A client or user has one key, called default; replace it with PUT on the client or user itself"
            raise ChefRefusal(HTTPStatus.METHOD_NOT_ALLOWED, text)
        raise ChefRefusal(HTTPStatus.METHOD_NOT_ALLOWED, f"Method not allowed for {path.split('/')[1]}")
    _keep_own(method, path)
    if kind in {Kind.KEYS, Kind.KEY}:
        path = "/".join(path.split("/")[:3])  # the engine has no keys of their own: they are the client's or user's
    limit = FILE_LIMIT_BYTES if kind is Kind.FILE else JSON_LIMIT_BYTES
    return Route(kind, quote(path, safe="/:~+@=,"), limit)


def check_api_version(headers: Mapping[str, str]) -> int:
    """The API version that a request asks for; 0 where it asks for none.

    Raises ChefRefusal 406 for one that the engine would ignore, so that clients go back to one it has (12.5, 3).
    """
    asked = headers.get("x-ops-server-api-version", "").strip() or "0"
    if asked.isascii() and asked.isdecimal() and len(asked) <= 2 and int(asked) <= NEWEST_API_VERSION:
        return int(asked)
    shown = asked if re.fullmatch(r"-?[0-9]{1,9}", asked) else "requested"
    text = f"Specified version {shown} not supported"
    body = {"error": "invalid-x-ops-server-api-version", "message": text, "min_version": 0, "max_version": 1}
    raise ChefRefusal(HTTPStatus.NOT_ACCEPTABLE, text, body=body)


def _plain(raw_path: str) -> str:
    """The decoded path. Segments that would read otherwise behind us (dots, slashes, control bytes) do not exist."""
    segments = canonical_path(raw_path).split("/")[1:]
    decoded = [unquote_to_bytes(segment).decode("latin-1") for segment in segments]
    for segment in decoded:
        if segment in {".", ".."} or len(segment) > LONGEST_SEGMENT or (segment and not _SAFE.fullmatch(segment)):
            raise ChefRefusal(HTTPStatus.NOT_FOUND, "No such path in this Chef server's API")
    return "/" + "/".join(decoded)


def _inside(path: str) -> str:
    """The path within the one organization; paths without a prefix are those of Chef 11."""
    prefix, rest = re.fullmatch(r"(/organizations/[^/]+)?(.*)", path, re.DOTALL).groups()  # type: ignore[union-attr] # matches anything
    if prefix is None:
        return path
    if prefix.rpartition("/")[2] != ORGANIZATION:
        raise ChefRefusal(HTTPStatus.NOT_FOUND, "No such organization; this server has one, called default")
    return rest or path


def _keep_own(method: str, path: str) -> None:
    _, group, name, *_ = (*path.split("/"), "", "")
    if method in {"PUT", "DELETE"} and name in OWN_ACTORS.get(group, ()):
        raise ChefRefusal(HTTPStatus.FORBIDDEN, f"OpenTrail looks after this server as {name}, which therefore stays")
