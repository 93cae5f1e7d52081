"""The certificate of the TCP listener: the site's own, or one made at the first start.

One that was made is signed by itself: callers are given its fingerprint, which the log and `bridge check` show.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.core.errors import Unavailable
from bridge.identity import tokens

DAYS = 3650


@dataclass(frozen=True, slots=True)
class Certificate:
    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256 of the certificate, as openssl prints it."""
    expires_at: datetime.datetime
    is_ours: bool
    """Made by the bridge, signed by itself."""


def given(certificate: Path, key: Path) -> Certificate:
    """The site's own."""
    return _read(certificate, key, is_ours=False)


def ensure(directory: Path, names: Sequence[str], now: datetime.datetime) -> Certificate:
    """The one in `directory`, made if there is none."""
    certificate, key = directory / "tls.pem", directory / "tls.key"
    if not certificate.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key.unlink(missing_ok=True)
        certificate_pem, key_pem = make(names, now)
        tokens.write_secret(key, key_pem)
        tokens.write_secret(certificate, certificate_pem)
    tokens.read_secret(key)
    return _read(certificate, key, is_ours=True)


def make(names: Sequence[str], now: datetime.datetime) -> tuple[bytes, bytes]:
    """(certificate, key) as PEM, for these host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in dict.fromkeys(names)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key_pem


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _read(certificate: Path, key: Path, *, is_ours: bool) -> Certificate:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise Unavailable(f"the certificate {certificate} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Unavailable(f"{certificate} is no certificate in PEM form") from error
    fingerprint = found.fingerprint(hashes.SHA256()).hex(":").upper()
    return Certificate(certificate, key, fingerprint, found.not_valid_after_utc, is_ours)
