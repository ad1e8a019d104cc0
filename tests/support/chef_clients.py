"""Chef clients for tests: a signer that shares nothing with ours, and Ruby with Chef's own signing library."""

import base64
import hashlib
import http.client
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

VERSIONS = ("1.0", "1.1", "1.3")
_SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
_SYSTEM_RUBY = Path("/usr/share/rubygems-integration/all/gems")


def private_key(pem: str) -> rsa.RSAPrivateKey:
    """An RSA key of a PEM text."""
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def chef_headers(
    version: str,
    method: str,
    path: str,
    body: bytes,
    *,
    user: str,
    key: rsa.RSAPrivateKey,
    at: datetime,
    api_version: str | None = "1",
) -> dict[str, str]:
    """The signature headers, by textbook RSA: the padded text to the power of d."""
    digest = hashlib.sha256 if version == "1.3" else hashlib.sha1
    content_hash = base64.b64encode(digest(body).digest()).decode()
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    if version == "1.3":
        text = (
            f"Method:{method}\nPath:{path}\nX-Ops-Content-Hash:{content_hash}\nX-Ops-Sign:version=1.3\n"
            f"X-Ops-Timestamp:{stamp}\nX-Ops-UserId:{user}\nX-Ops-Server-API-Version:{api_version or '0'}"
        )
        payload = _SHA256_PREFIX + hashlib.sha256(text.encode()).digest()
    else:
        shown = user if version == "1.0" else base64.b64encode(hashlib.sha1(user.encode()).digest()).decode()
        hashed_path = base64.b64encode(hashlib.sha1(path.encode()).digest()).decode()
        payload = (
            f"Method:{method}\nHashed Path:{hashed_path}\nX-Ops-Content-Hash:{content_hash}\n"
            f"X-Ops-Timestamp:{stamp}\nX-Ops-UserId:{shown}"
        ).encode()
    signature = base64.b64encode(_power(payload, key)).decode()
    headers = {
        "X-Ops-Sign": "version=1.3" if version == "1.3" else f"algorithm=sha1;version={version};",
        "X-Ops-UserId": user,
        "X-Ops-Timestamp": stamp,
        "X-Ops-Content-Hash": content_hash,
    }
    if api_version is not None:
        headers["X-Ops-Server-API-Version"] = api_version
    pieces = [signature[start : start + 60] for start in range(0, len(signature), 60)]
    return headers | {f"X-Ops-Authorization-{number}": piece for number, piece in enumerate(pieces, 1)}


def _power(payload: bytes, key: rsa.RSAPrivateKey) -> bytes:
    numbers = key.private_numbers()
    modulus = numbers.public_numbers.n
    length = (modulus.bit_length() + 7) // 8
    padded = b"\x00\x01" + b"\xff" * (length - len(payload) - 3) + b"\x00" + payload
    return pow(int.from_bytes(padded, "big"), numbers.d, modulus).to_bytes(length, "big")


@dataclass
class ChefClient:
    """Somebody with a name and a key who talks to one Chef server."""

    url: str
    user: str
    key: rsa.RSAPrivateKey
    ca_file: str | None = None
    version: str = "1.3"
    prefix: str = "/organizations/default"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        at: datetime | None = None,
        headers: Mapping[str, str] | None = None,
        api_version: str | None = "1",
    ) -> tuple[int, Any]:
        """One signed call: the status, and what the answer's JSON says (or its bytes)."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        target = f"{self.prefix}{path}"
        signed = chef_headers(
            self.version,
            method,
            target.partition("?")[0],
            content,
            user=self.user,
            key=self.key,
            at=at or datetime.now(UTC),
            api_version=api_version,
        )
        plain = {"Accept": "application/json", "Content-Type": "application/json"}
        return send(self.url, method, target, content, signed | plain | dict(headers or {}), self.ca_file)


def send(
    url: str, method: str, target: str, body: bytes, headers: Mapping[str, str], ca_file: str | None
) -> tuple[int, Any]:
    """One call on a connection of its own."""
    where = urlsplit(url)
    connection: http.client.HTTPConnection
    if where.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        connection = http.client.HTTPSConnection(where.netloc, timeout=60, context=context)
    else:
        connection = http.client.HTTPConnection(where.netloc, timeout=60)
    try:
        connection.request(method, target, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
        is_json = answer.headers.get("content-type", "").startswith("application/json") and content
        return answer.status, json.loads(content) if is_json else content
    finally:
        connection.close()


def unpack_kit(attributes: list[dict[str, str]], directory: Path) -> Path:
    """Unpack the starter kit of a CreateServer answer, as a user would."""
    values = {attribute["Name"]: attribute["Value"] for attribute in attributes}
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(values["CHEF_STARTER_KIT"]))) as kit:
        kit.extractall(directory)
    return directory


def knife_settings(kit: Path) -> dict[str, str]:
    """``knife.rb`` as a table: each setting's name and its text."""
    lines = (kit / ".chef" / "knife.rb").read_text().splitlines()
    return {
        name: rest.strip() for name, _, rest in (line.partition(" ") for line in lines) if rest and name != "base_dir"
    }


@dataclass(frozen=True)
class Ruby:
    """A Ruby that has mixlib-authentication."""

    command: tuple[str, ...]
    environment: Mapping[str, str]

    def run(self, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a script."""
        command = [*self.command, "-e", script, *arguments]
        return subprocess.run(command, env=dict(self.environment), capture_output=True, text=True, timeout=120)


def find_ruby() -> Ruby | None:
    """The machine's own Ruby with the library, or the one that ``tools/get_ruby.sh`` unpacked."""
    installed = shutil.which("ruby")
    gems = sorted(_SYSTEM_RUBY.glob("mixlib-authentication-*"))
    if installed and gems:
        return Ruby((installed,), {"PATH": os.environ["PATH"]})
    root = Path(sys.executable).parents[1] / "ruby" / "usr"
    own = sorted(root.glob("share/rubygems-integration/all/gems/mixlib-authentication-*/lib"))
    libraries = sorted((root / "lib").glob("*-linux-gnu"))
    if not (root / "bin" / "ruby3.1").exists() or not own or not libraries:
        return None
    paths = (own[0], root / "lib/ruby/vendor_ruby", root / "lib/ruby/3.1.0", libraries[0] / "ruby/3.1.0")
    found = {"RUBYLIB": ":".join(map(str, paths)), "LD_LIBRARY_PATH": str(libraries[0]), "PATH": os.environ["PATH"]}
    return Ruby((str(root / "bin" / "ruby3.1"), "--disable-gems"), found)
