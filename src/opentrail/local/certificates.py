"""TLS for the endpoint where no certificate is given: a certificate authority of HOME's own, and one it issues.

Files: ``ca.pem`` (what clients trust), ``ca.key``, ``server.pem`` (chain), ``server.key``; keys have mode 0600.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from opentrail.state.authorities import Authority
from opentrail.state.private_files import write_private

_RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Paths of what a TLS server needs, and of the authority its clients should trust."""

    chain: Path
    key: Path
    authority: Path


def ensure(directory: Path, hosts: tuple[str, ...], now: datetime) -> CertificateFiles:
    """The certificate for these host names and addresses; issued anew where absent, near its end or for other hosts."""
    files = CertificateFiles(directory / "server.pem", directory / "server.key", directory / "ca.pem")
    authority_key = directory / "ca.key"
    if not authority_key.exists() or not files.authority.exists():
        _make_authority(files.authority, authority_key, now)
    if not _still_good(files, hosts, now):
        _issue(files, authority_key, hosts, now)
    return files


def _make_authority(path: Path, key_path: Path, now: datetime) -> None:
    authority = Authority.new("OpenTrail local authority", now)
    write_private(key_path, authority.key_pem)
    write_private(path, authority.certificate_pem)


def _issue(files: CertificateFiles, authority_key: Path, hosts: tuple[str, ...], now: datetime) -> None:
    leaf = Authority.load(files.authority.read_bytes(), authority_key.read_bytes()).issue(hosts, now)
    write_private(files.key, leaf.key)
    write_private(files.chain, leaf.chain)


def _still_good(files: CertificateFiles, hosts: tuple[str, ...], now: datetime) -> bool:
    if not files.chain.exists() or not files.key.exists():
        return False
    certificate = x509.load_pem_x509_certificate(files.chain.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = {str(item.value) for item in names}
    return set(hosts) <= covered and certificate.not_valid_after_utc.astimezone(UTC) - now > _RENEW_BEFORE
