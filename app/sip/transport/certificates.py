"""The certificate of this server: the user's own, or a self-made one kept in the data folder; and the TLS contexts."""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.errors import UserFacingError

_FOLDER = "tls"
_CERTIFICATE = "certificate.pem"
_PRIVATE_KEY = "private-key.pem"
_VALID_DAYS = 3652
_RENEW_BEFORE = datetime.timedelta(days=30)
_FALLBACK_NAME = "trunkline"


class CertificateError(UserFacingError):
    """The certificate or its key cannot be used; the text names the file and says why."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What TLS needs to know. Without a certificate of the user's a self-made one is used."""

    data_folder: Path
    """Where the self-made certificate is kept, in the folder tls."""
    certificate: Path | None = None
    """The user's certificate chain in PEM form, this server's first."""
    private_key: Path | None = None
    """Its private key in PEM form without password; None when it is in the certificate's file."""
    authorities: Path | None = None
    """Certificates (PEM) that peers may be signed by, beside those that the system trusts."""
    domain: str = ""
    """The domain of this server, for the self-made certificate."""
    addresses: tuple[str, ...] = ()
    """The IP addresses of this server, for the self-made certificate."""


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """The three TLS contexts: as server, and as client with and without verification of the peer."""

    server: ssl.SSLContext
    verifying: ssl.SSLContext
    trusting: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class CertificateDescription:
    """What a person wants to know of a certificate."""

    names: tuple[str, ...]
    """The host names and addresses that it is for."""
    not_after: datetime.datetime
    """When it ends, UTC."""
    fingerprint: str
    """SHA-256 of the certificate, in hexadecimal pairs with colons, as phones show it."""
    self_signed: bool
    """Whether it vouches only for itself, so that peers must be told to trust it."""


def load_contexts(settings: TlsSettings) -> TlsContexts:
    """Make the TLS contexts, and the self-made certificate where there is none yet. Raises CertificateError."""
    if settings.certificate is not None:
        certificate, private_key = settings.certificate, settings.private_key or settings.certificate
    else:
        certificate, private_key = self_made_certificate(settings)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1_2
    verifying = ssl.create_default_context()
    verifying.minimum_version = ssl.TLSVersion.TLSv1_2
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.minimum_version = ssl.TLSVersion.TLSv1_2
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    for context in (server, verifying, trusting):
        # As a client too: some carriers ask for our certificate.
        _load_chain(context, certificate, private_key)
    if settings.authorities is not None:
        _load_authorities(verifying, settings.authorities)
    return TlsContexts(server, verifying, trusting)


def file_stamps(settings: TlsSettings) -> tuple[object, ...]:
    """What changes when one of the user's files does: for each, when it was written, its size and its number."""
    stamps: list[object] = []
    for path in (settings.certificate, settings.private_key, settings.authorities):
        try:
            status = path.stat() if path is not None else None
        except OSError:
            status = None
        stamps.append(status and (status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(stamps)


def describe_certificate(path: Path) -> CertificateDescription:
    """Read the first certificate of a PEM file. Raises CertificateError."""
    certificate = _read_certificate(path)
    try:
        certificate.verify_directly_issued_by(certificate)
        self_signed = True
    except (ValueError, TypeError, InvalidSignature):
        self_signed = False
    digest = certificate.fingerprint(hashes.SHA256()).hex().upper()
    fingerprint = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
    return CertificateDescription(_names_of(certificate), certificate.not_valid_after_utc, fingerprint, self_signed)


def self_made_certificate(settings: TlsSettings) -> tuple[Path, Path]:
    """The paths of the self-made certificate and its key (ECDSA P-256, 10 years, key readable by its owner only).

    It is made when missing or unreadable, when it ends within 30 days, or when the domain is not in it. A change of the
    addresses alone keeps it: phones may have been told to trust it, and addresses come and go. Raises CertificateError.
    """
    folder = settings.data_folder / _FOLDER
    certificate_path, key_path = folder / _CERTIFICATE, folder / _PRIVATE_KEY
    if not _still_good(certificate_path, key_path, settings.domain):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _make(certificate_path, key_path, settings)
        except OSError as error:
            raise CertificateError(
                f"The self-made certificate cannot be written to {folder}: {error.strerror or error}."
            ) from error
    return certificate_path, key_path


def _still_good(certificate_path: Path, key_path: Path, domain: str) -> bool:
    try:
        certificate = _read_certificate(certificate_path)
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except (CertificateError, OSError, ValueError, TypeError):
        return False
    if key.public_key() != certificate.public_key():
        return False
    if certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC) < _RENEW_BEFORE:
        return False
    name = _host_name(domain)
    return not name or name in _names_of(certificate)


def _host_name(text: str) -> str:
    """The form that a certificate has of a host name; empty for what is none."""
    try:
        return text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""


def _make(certificate_path: Path, key_path: Path, settings: TlsSettings) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    common_name = _host_name(settings.domain) or (settings.addresses[0] if settings.addresses else _FALLBACK_NAME)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A day back: the clocks of phones are often behind.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(settings)), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    encoded_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key_path, encoded_key, 0o600)
    _write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _alternative_names(settings: TlsSettings) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    domain = _host_name(settings.domain)
    for text in dict.fromkeys((domain, *settings.addresses)):
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            if text == domain and domain:
                # RFC 5922 7.1: the identity of a SIP domain is first looked for as a URI.
                names += [x509.DNSName(domain), x509.UniformResourceIdentifier(f"sip:{domain}")]
        else:
            if not address.is_unspecified:
                names.append(x509.IPAddress(address))
    return names or [x509.DNSName(_FALLBACK_NAME)]


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    hosts = [name.lower() for name in extension.get_values_for_type(x509.DNSName)]
    return (*hosts, *(str(address) for address in extension.get_values_for_type(x509.IPAddress)))


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in its place at once, never readable by more than `mode` allows."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"The certificate {path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise CertificateError(f"The certificate {path} is not a certificate in PEM form.") from error


def _load_chain(context: ssl.SSLContext, certificate: Path, private_key: Path) -> None:
    _read_certificate(certificate)

    def no_password() -> bytes:
        # Without this OpenSSL would ask at the terminal and stop everything.
        raise CertificateError(f"The private key {private_key} is protected by a password. Give one without.")

    try:
        with private_key.open("rb"):
            pass
        context.load_cert_chain(certificate, private_key, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"The private key {private_key} does not belong to the certificate {certificate}."
        else:
            text = f"The private key {private_key} cannot be used with {certificate}: {error.reason or error}."
        raise CertificateError(text) from error
    except OSError as error:
        raise CertificateError(f"The private key {private_key} cannot be read: {error.strerror or error}.") from error


def _load_authorities(context: ssl.SSLContext, authorities: Path) -> None:
    try:
        context.load_verify_locations(cafile=authorities)
    except ssl.SSLError as error:
        raise CertificateError(f"The file of authorities {authorities} has no certificate in PEM form.") from error
    except OSError as error:
        raise CertificateError(
            f"The file of authorities {authorities} cannot be read: {error.strerror or error}."
        ) from error
