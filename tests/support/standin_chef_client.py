"""A stand-in for chef-client, which cannot be installed here: it reads ``client.rb`` and makes the node's object with
the node's own key, as chef-client does on its first run. Run as a program with chef-client's options.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from tests.support.chef_clients import ChefClient, private_key


def main(arguments: list[str]) -> int:
    """Save the node; 0 where the Chef server took it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-c", dest="config", type=Path, required=True)
    parser.add_argument("-r", dest="run_list", default="")
    parser.add_argument("-E", dest="environment", default="_default")
    parser.add_argument("-j", dest="attributes", type=Path)
    given = parser.parse_args(arguments)
    config = dict(re.findall(r"^(\w+)\s+'([^']*)'$", given.config.read_text(), re.MULTILINE))
    url, _, prefix = config["chef_server_url"].partition("/organizations/")
    trusted = given.config.parent / "trusted.pem"
    trusted.write_text("".join(path.read_text() for path in Path(config["trusted_certs_dir"]).glob("*.pem")))
    key = private_key(Path(config["client_key"]).read_text())
    name, ca_file = config["node_name"], str(trusted) if trusted.stat().st_size else None
    client = ChefClient(url, name, key, ca_file, prefix=f"/organizations/{prefix}")
    node = {
        "name": name,
        "json_class": "Chef::Node",
        "chef_type": "node",
        "chef_environment": given.environment,
        "run_list": [item.strip() for item in given.run_list.split(",") if item.strip()],
        "normal": json.loads(given.attributes.read_text()) if given.attributes else {},
    }
    status, _ = client.ask("PUT", f"/nodes/{name}", node)
    if status == 404:
        status, _ = client.ask("POST", "/nodes", node)
    Path(config["log_location"]).write_text(f"saved node {name}: {status}\n")
    return 0 if status in {200, 201} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
