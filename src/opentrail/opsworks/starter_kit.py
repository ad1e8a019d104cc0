"""The starter kit: a ZIP with what somebody needs to begin working with a new Chef server.

Deterministic: the same arguments give the same bytes. Layout after the opsworks-cm fact sheet, section 7.1; what does
not work with this engine is left out and said in the README. The private key is in it only where we made it.
"""

import io
import zipfile
from collections.abc import Mapping

AUTHORITY_FILE = "opsworks-cm-ca-2020-root.pem"
"""AWS's own name for it, which instructions for `berks` name."""
CUSTOM_FILE = "custom-domain.pem"
_STAMP = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o600 << 16
_DIRECTORY_MODE = (0o40700 << 16) | 0x10
_KEY_FILE = ".chef/private.pem"
_CERTIFICATES = ".chef/ca_certs/"
_COOKBOOK = "cookbooks/opsworks-webserver"


def build_starter_kit(
    server_name: str,
    endpoint: str,
    private_key: str | None,
    *,
    url: str = "",
    trusted: Mapping[str, str] | None = None,
    userdata: str = "",
) -> bytes:
    """The kit of a server; ``private_key`` is pivotal's, in PEM form, or None where the caller keeps it.

    ``url``: where clients reach it, without a path; empty: HTTPS at the endpoint. ``trusted``: certificates (file name
    -> PEM) that clients must trust for that. ``userdata``: the script that associates nodes.
    """
    server_url = url or f"https://{endpoint}"
    files = {
        "README.md": _readme(server_name, server_url, has_key=private_key is not None),
        ".chef/knife.rb": _knife(server_url),
        _CERTIFICATES: "",
        "Berksfile": _BERKSFILE,
        "cookbooks/README.md": "Cookbooks, one directory each. Upload one with `knife cookbook upload NAME`.\n",
        f"{_COOKBOOK}/README.md": "A wrapper cookbook: it sets up nginx. Change it to make your own web server.\n",
        f"{_COOKBOOK}/metadata.rb": "name 'opsworks-webserver'\nversion '0.1.0'\ndepends 'nginx'\n",
        f"{_COOKBOOK}/recipes/default.rb": "include_recipe 'nginx'\n",
        "environments/README.md": "Environments. Create one with `knife environment from file FILE`.\n",
        "roles/README.md": "Roles. Create one with `knife role from file FILE`.\n",
        "roles/opsworks-example-role.rb": _ROLE,
    }
    files |= {f"{_CERTIFICATES}{name}": pem for name, pem in (trusted or {}).items()}
    if userdata:
        files["userdata.sh"] = userdata
    if private_key is not None:
        files[_KEY_FILE] = private_key
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as kit:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _STAMP)
            entry.create_system = 3  # the attributes are Unix's
            entry.external_attr = _DIRECTORY_MODE if name.endswith("/") else _FILE_MODE
            entry.compress_type = zipfile.ZIP_DEFLATED
            kit.writestr(entry, files[name])
    return out.getvalue()


def _readme(server_name: str, url: str, *, has_key: bool) -> str:
    key = (
        f"`{_KEY_FILE}` is the private key of the Chef user `pivotal`. It is stored nowhere else: keep it safe."
        if has_key
        else f"Put the private key of the public key that you gave into `{_KEY_FILE}`; this kit does not contain it."
    )
    return f"""# Starter kit of the Chef server {server_name}

Chef server: {url}/organizations/default

{key}

## Contents
- `.chef/knife.rb`: settings for knife
- `{_CERTIFICATES}`: the certificates that knife trusts, besides the system's
- `cookbooks`, `roles`, `environments`: the Chef repository
- `userdata.sh`: associates a machine with this server and runs the Chef client there; as user data of an instance, or
  by hand as root
- `Berksfile`: cookbooks to fetch from the Supermarket

## First steps
Run these in this directory:

    knife client list
    knife role from file roles/opsworks-example-role.rb
    berks install
    SSL_CERT_FILE='{_CERTIFICATES}{AUTHORITY_FILE}' berks upload

## Not supported
- Policyfiles (`chef push`): the engine, goiardi, has none, so this kit has no `Policyfile.rb`. Use roles, environments
  and Berkshelf.
- A second key of a client or user: each has one, `default`. Replace it with `knife raw -m PUT /clients/NAME`.
- Windows nodes have no userdata script (`userdata.ps1`); associate them with the API.
- Groups, containers and access control lists: there are administrators, validators and plain clients.
"""


def _knife(url: str) -> str:
    return f"""base_dir = File.join(File.dirname(File.expand_path(__FILE__)), '..')

log_level               :info
log_location            STDOUT
node_name               'pivotal'
client_key              File.join(base_dir, '.chef', 'private.pem')
syntax_check_cache_path File.join(base_dir, '.chef', 'syntax_check_cache')
cookbook_path           [File.join(base_dir, 'cookbooks')]
chef_server_url         '{url}/organizations/default'
trusted_certs_dir       File.join(base_dir, '.chef', 'ca_certs')
"""


_BERKSFILE = """source 'https://supermarket.chef.io'

cookbook 'chef-client'
cookbook 'opsworks-webserver', path: 'cookbooks/opsworks-webserver'
"""
_ROLE = """name 'opsworks-example-role'
description 'An example role: it keeps the Chef client running on a node'
run_list 'recipe[chef-client]'
"""
