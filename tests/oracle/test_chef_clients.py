"""Strangers' Chef clients against a running OpenTrail, with the starter kit as it comes."""

import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opentrail.local.goiardi import goiardi_binary
from tests.support.chef_clients import VERSIONS, find_ruby, knife_settings, unpack_kit
from tests.support.chef_product import healthy, make_server
from tests.support.gateway import running

pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is not installed"),
]


@dataclass(frozen=True)
class Kit:
    """What ``knife.rb`` of an unpacked starter kit says."""

    directory: Path
    url: str
    user: str
    key_file: Path
    ca_file: Path

    @property
    def server(self) -> str:
        """The URL without the organization."""
        return self.url.partition("/organizations/")[0]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """The kit of a healthy server of a running product; everything is read out of it."""
    place = tmp_path_factory.mktemp("chef")
    with running(place / "home") as gateway:
        server = make_server(gateway)
        healthy(gateway)
        directory = unpack_kit(server["EngineAttributes"], place / "kit")
        found = knife_settings(directory)
        yield Kit(
            directory,
            found["chef_server_url"].strip("'"),
            found["node_name"].strip("'"),
            directory / ".chef" / "private.pem",
            next((directory / ".chef" / "ca_certs").glob("*.pem")),
        )


@pytest.fixture(autouse=True)
def trusting(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """requests trusts the kit's authority; deprecations of theirs are not ours to mend."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(kit.ca_file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def session(kit: Kit, version: str) -> Any:
    from chefsessionlib import ChefSession

    return ChefSession(kit.user, kit.key_file.read_text(), authentication_version=version)


@pytest.mark.parametrize("version", VERSIONS)
def test_chefsessionlib_works_with_the_kit(kit: Kit, version: str) -> None:
    """Reads, writes, searches and deletes, in every version of the signature."""
    chef, name = session(kit, version), f"role-{version}"
    role = {"name": name, "json_class": "Chef::Role", "chef_type": "role", "run_list": []}
    made = chef.post(f"{kit.url}/roles", json=role)
    assert (made.status_code, made.json()) == (201, {"uri": f"{kit.url}/roles/{name}"})
    assert chef.get(f"{kit.url}/roles/{name}").json()["name"] == name
    assert chef.get(made.json()["uri"]).status_code == 200
    assert name in chef.get(f"{kit.url}/roles").json()
    assert chef.get(f"{kit.url}/search/role", params={"q": "*:*"}).status_code == 200
    assert chef.delete(f"{kit.url}/roles/{name}").status_code == 200
    assert chef.get(f"{kit.url}/roles/{name}").status_code == 404


def test_chefsessionlib_with_another_key_is_refused(kit: Kit) -> None:
    """401, which the library tells as what it is."""
    from chefsessionlib import ChefSession, InvalidAuthentication

    from opentrail.opsworks.keys import generate_key_pair

    chef = ChefSession(kit.user, generate_key_pair().private_pem)
    with pytest.raises(InvalidAuthentication, match="Invalid signature"):
        chef.get(f"{kit.url}/nodes")


def test_cheflib_works_with_the_kit(kit: Kit) -> None:
    """Its own objects: clients with the key that the server made, data bags, environments, roles."""
    from cheflib import Chef

    chef = Chef(kit.server, "default", kit.user, kit.key_file.read_text())
    client = chef.create_client("node-of-cheflib")
    assert client is not None
    assert "node-of-cheflib" in {found.name for found in chef.clients}
    chef.create_data_bag("bag-of-cheflib")
    assert "bag-of-cheflib" in {found.name for found in chef.data_bags}
    assert "_default" in {found.name for found in chef.environments}
    assert chef.delete_client_by_name("node-of-cheflib")
    assert "node-of-cheflib" not in {found.name for found in chef.clients}


RUBY = r"""
require "openssl"; require "net/http"; require "json"; require "time"; require "mixlib/authentication"
require "mixlib/authentication/signedheaderauth"
class Settings < Hash
  def method_missing(name, *values) self[name] = values.first end
end
kit = ARGV[0]
knife = Settings.new
source = File.read("#{kit}/.chef/knife.rb").gsub("__FILE__", "'#{kit}/.chef/knife.rb'")
knife.instance_eval(source)
url = URI(knife[:chef_server_url])
http = Net::HTTP.new(url.host, url.port)
http.use_ssl = url.scheme == "https"
http.cert_store = OpenSSL::X509::Store.new.tap { |store| store.set_default_paths }
Dir["#{knife[:trusted_certs_dir]}/*.pem"].each { |file| http.cert_store.add_file(file) }
key = OpenSSL::PKey::RSA.new(File.read(knife[:client_key]))
call = lambda do |version, verb, path, body, api|
  target = url.path + path
  signer = Mixlib::Authentication::SignedHeaderAuth.signing_object(
    http_method: verb, path: target.split("?").first, body: body, host: url.host, timestamp: Time.now.utc.iso8601,
    user_id: knife[:node_name], proto_version: version, headers: { "X-Ops-Server-API-Version" => api })
  headers = signer.sign(key, sign_algorithm: version == "1.3" ? "sha256" : "sha1", sign_version: version)
  headers = headers.merge("X-Ops-Server-API-Version" => api, "X-Chef-Version" => "18.2.7",
    "Accept" => "application/json", "Content-Type" => "application/json")
  request = Net::HTTPGenericRequest.new(verb.to_s.upcase, !body.empty?, verb != :head, target, headers)
  request.body = body unless body.empty?
  http.request(request)
end
answers = %w[1.0 1.1 1.3].flat_map do |version|
  role = { name: "ruby-#{version}", json_class: "Chef::Role", chef_type: "role" }.to_json
  [call.(version, :get, "/nodes", "", "1").code, call.(version, :post, "/roles", role, "0").code,
   call.(version, :get, "//roles/ruby-#{version}/", "", "1").code,
   call.(version, :delete, "/roles/ruby-#{version}", "", "1").code]
end
puts JSON.generate(answers: answers, newer: call.("1.3", :get, "/nodes", "", "2").code)
"""


def test_ruby_signs_with_chefs_own_library(kit: Kit) -> None:
    """``knife.rb`` is read by Ruby as knife does, the authority is trusted from it, and mixlib-authentication signs in
    every version; version 2 of the API is answered with 406, upon which Chef's clients negotiate.
    """
    ruby = find_ruby()
    if ruby is None:
        pytest.skip("no Ruby with mixlib-authentication; tools/get_ruby.sh gets one")
    done = ruby.run(RUBY, str(kit.directory))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == {"answers": ["200", "201", "200", "200"] * 3, "newer": "406"}


def test_the_kit_says_what_it_lacks_and_names_its_files(kit: Kit) -> None:
    """README tells of Policyfiles, and every file that it or ``knife.rb`` names is there."""
    readme = (kit.directory / "README.md").read_text()
    assert "Policyfiles" in readme
    assert not (kit.directory / "Policyfile.rb").exists()
    for name in re.findall(r"`([\w./-]+)`", readme):
        assert (kit.directory / name).exists() or name in {"Policyfile.rb", "userdata.ps1", "default", "pivotal"}, name
    for name in (
        "cookbooks/opsworks-webserver/metadata.rb",
        "roles/opsworks-example-role.rb",
        "environments/README.md",
    ):
        assert (kit.directory / name).is_file()
