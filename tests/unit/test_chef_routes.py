"""The door's list of routes: what goes through, what does not, and what the engine never hears of."""

from http import HTTPStatus

import pytest

from opentrail.opsworks.front.refusal import ChefRefusal
from opentrail.opsworks.front.routes import FILE_LIMIT_BYTES, JSON_LIMIT_BYTES, Kind, check_api_version, find_route

MD5 = "5d41402abc4b2a76b9719d911017c592"


@pytest.mark.parametrize(
    ("method", "path", "kind", "engine_path"),
    [
        ("GET", "/organizations/default/nodes", Kind.PLAIN, "/nodes"),
        ("GET", "/nodes", Kind.PLAIN, "/nodes"),
        ("PUT", "//organizations/default//nodes/a.b_c-d/", Kind.PLAIN, "/nodes/a.b_c-d"),
        ("POST", "/organizations/default/clients", Kind.MAKE_ACTOR, "/clients"),
        ("POST", "/users", Kind.MAKE_ACTOR, "/users"),
        ("GET", "/organizations/default/clients/n/keys", Kind.KEYS, "/clients/n"),
        ("GET", "/users/pivotal/keys/default", Kind.KEY, "/users/pivotal"),
        ("PUT", f"/file_store/{MD5}", Kind.FILE, f"/file_store/{MD5}"),
        ("POST", "/organizations/default/sandboxes", Kind.SANDBOX, "/sandboxes"),
        ("GET", "/organizations/default/cookbooks/nginx/1.2.3", Kind.COOKBOOK, "/cookbooks/nginx/1.2.3"),
        ("GET", "/organizations/default/cookbooks/_latest", Kind.PLAIN, "/cookbooks/_latest"),
        ("POST", "/organizations/default/environments/_default/cookbook_versions", Kind.COOKBOOK, None),
        ("POST", "/organizations/default/search/node", Kind.PLAIN, "/search/node"),
        ("GET", "/organizations/default", Kind.ORGANIZATION, None),
        ("GET", "/organizations", Kind.ORGANIZATIONS, None),
        ("GET", "/_status", Kind.STATUS, None),
        ("POST", "/organizations/default/reports/nodes/n/runs", Kind.PLAIN, "/reports/nodes/n/runs"),
        ("GET", "/status/node/n/latest", Kind.PLAIN, "/status/node/n/latest"),
        ("PUT", "/clients/chef-validator", Kind.PLAIN, "/clients/chef-validator"),
    ],
)
def test_chef_routes_that_exist(method: str, path: str, kind: Kind, engine_path: str | None) -> None:
    """With and without the organization, and with slashes to spare."""
    route = find_route(method, path)
    assert route.kind is kind
    assert engine_path is None or route.path == engine_path
    assert route.body_limit_bytes == (FILE_LIMIT_BYTES if kind is Kind.FILE else JSON_LIMIT_BYTES)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nosuch", 404),
        ("GET", "/organizations/other/nodes", 404),
        ("GET", "/organizations/default/organizations/default/nodes", 404),
        ("GET", "/organizations/default/groups", 404),
        ("GET", "/debug/pprof/", 404),
        ("GET", "/organizations/default/required_recipe", 404),
        ("GET", "/organizations/default/nodes/../users", 404),
        ("GET", "/organizations/default/nodes/%2e%2e", 404),
        ("GET", "/organizations/default/nodes/a%2Fb", 404),
        ("GET", "/organizations/default/nodes/a%00", 404),
        ("GET", "/organizations/default/nodes/" + "a" * 513, 404),
        ("GET", f"/file_store/{MD5.upper()}", 404),
        ("GET", "/organizations/default/policies", 501),
        ("PUT", "/organizations/default/policy_groups/a/policies/b", 501),
        ("GET", "/organizations/default/cookbook_artifacts", 501),
        ("DELETE", "/organizations/default/nodes", 405),
        ("PATCH", "/nodes/a", 405),
        ("POST", "/clients/n/keys", 405),
        ("PUT", "/organizations/default/clients/n/keys/default", 405),
        ("DELETE", "/clients/n/keys/default", 405),
        ("GET", "/clients/n/keys/second", 405),
        ("PUT", "/users/admin", 403),
        ("DELETE", "/organizations/default/clients/chef-webui", 403),
    ],
)
def test_chef_routes_that_do_not(method: str, path: str, status: int) -> None:
    """The engine would answer 200 to many of these, and rename a client for one."""
    with pytest.raises(ChefRefusal) as caught:
        find_route(method, path)
    assert caught.value.status == status


@pytest.mark.parametrize(("asked", "version"), [({}, 0), ({"x-ops-server-api-version": "1"}, 1)])
def test_chef_api_versions_that_exist(asked: dict[str, str], version: int) -> None:
    """0 where a client does not say."""
    assert check_api_version(asked) == version


@pytest.mark.parametrize("asked", ["2", "-1", "10", "x", "1.0", "999999999999", "٣"])
def test_chef_api_versions_that_do_not(asked: str) -> None:
    """406 with the range, so that current clients come back with one of it."""
    with pytest.raises(ChefRefusal) as caught:
        check_api_version({"x-ops-server-api-version": asked})
    reply = caught.value.reply()
    assert reply.status == HTTPStatus.NOT_ACCEPTABLE
    assert b'"min_version": 0, "max_version": 1' in reply.body
    assert b"invalid-x-ops-server-api-version" in reply.body
