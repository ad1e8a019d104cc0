"""Mutual TLS for the gRPC doors between SeaweedFS's parts, which are open to every local user otherwise.

One self-signed certificate is everybody's certificate and the only one that is trusted. It is made anew at each start,
and its validity has no end (RFC 5280 section 4.1.2.5), so nothing expires and no clock is asked.
"""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from opentrail.state.private_files import write_private

_PARTS = ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "CLIENT")
_NOT_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def mutual_tls(directory: Path) -> dict[str, str]:
    """Write a new key and certificate (0600), and return the variables that make every part of ``weed`` use them."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate_path, key_path = directory / "grpc.pem", directory / "grpc.key"
    write_private(certificate_path, _certificate(key).public_bytes(serialization.Encoding.PEM).decode())
    unencrypted = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    write_private(key_path, pem.decode())
    variables = {"WEED_GRPC_CA": str(certificate_path)}
    for part in _PARTS:
        variables[f"WEED_GRPC_{part}_CERT"] = str(certificate_path)
        variables[f"WEED_GRPC_{part}_KEY"] = str(key_path)
    return variables


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "opentrail-seaweedfs")])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(key, hashes.SHA256())
    )
