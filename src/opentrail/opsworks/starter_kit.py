"""The starter kit: a ZIP with what somebody needs to begin working with a new Chef server.

Deterministic: the same arguments give the same bytes. Layout after the opsworks-cm fact sheet, section 7.1; what does
not work with this engine is left out and said in the README. The private key is in it only where we made it.
"""

import io
import zipfile

_STAMP = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o600 << 16
_DIRECTORY_MODE = (0o40700 << 16) | 0x10
_KEY_FILE = ".chef/private.pem"


def build_starter_kit(server_name: str, endpoint: str, private_key: str | None) -> bytes:
    """The kit of a server; ``private_key`` is pivotal's, in PEM form, or None where the caller keeps it."""
    files = {
        "README.md": _readme(server_name, endpoint, has_key=private_key is not None),
        ".chef/knife.rb": _knife(endpoint),
        ".chef/ca_certs/": "",
        "Berksfile": "source 'https://supermarket.chef.io'\n\ncookbook 'chef-client'\n",
        "cookbooks/README.md": "Cookbooks, one directory each. Upload one with `knife cookbook upload NAME`.\n",
        "environments/README.md": "Environments. Create one with `knife environment from file FILE`.\n",
        "roles/README.md": "Roles. Create one with `knife role from file FILE`.\n",
        "roles/opsworks-example-role.rb": _ROLE,
    }
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


def _readme(server_name: str, endpoint: str, *, has_key: bool) -> str:
    key = (
        f"`{_KEY_FILE}` is the private key of the Chef user `pivotal`. It is stored nowhere else: keep it safe."
        if has_key
        else f"Put the private key of the public key that you gave into `{_KEY_FILE}`; this kit does not contain it."
    )
    return f"""# Starter kit of the Chef server {server_name}

Endpoint: https://{endpoint}

{key}

## Contents
- `.chef/knife.rb`: settings for knife; certificates to trust go into `.chef/ca_certs`
- `cookbooks`, `roles`, `environments`: the Chef repository
- `Berksfile`: cookbooks to fetch from the Supermarket

## Not supported
- Chef clients and knife cannot reach the endpoint yet: the Chef API door comes in a later release.
- Policyfiles (`chef push`): the engine, goiardi, has none. Use roles, environments and Berkshelf.
- The userdata scripts that associate nodes come with the Chef API door.
"""


def _knife(endpoint: str) -> str:
    return f"""base_dir = File.join(File.dirname(File.expand_path(__FILE__)), '..')

log_level               :info
log_location            STDOUT
node_name               'pivotal'
client_key              File.join(base_dir, '.chef', 'private.pem')
syntax_check_cache_path File.join(base_dir, '.chef', 'syntax_check_cache')
cookbook_path           [File.join(base_dir, 'cookbooks')]
chef_server_url         'https://{endpoint}/organizations/default'
trusted_certs_dir       File.join(base_dir, '.chef', 'ca_certs')
"""


_ROLE = """name 'opsworks-example-role'
description 'An example role: it keeps the Chef client running on a node'
run_list 'recipe[chef-client]'
"""
