"""The self-made certificate and what is said of a user's own that cannot be used."""

from __future__ import annotations

import datetime
import ipaddress
import os
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.sip.transport import certificates
from app.sip.transport.certificates import (
    CertificateError,
    TlsSettings,
    describe_certificate,
    load_contexts,
    self_made_certificate,
)


def settings(folder: Path, domain: str = "pbx.example.com", *addresses: str) -> TlsSettings:
    return TlsSettings(folder, domain=domain, addresses=addresses)


def test_it_is_for_the_domain_and_the_addresses_for_ten_years(tmp_path: Path) -> None:
    path, key_path = self_made_certificate(settings(tmp_path, "PBX.example.com", "192.0.2.1", "2001:db8::1", "0.0.0.0"))
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["pbx.example.com"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["sip:pbx.example.com"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("192.0.2.1"),
        ipaddress.ip_address("2001:db8::1"),
    ]
    lasts = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(days=3650) < lasts < datetime.timedelta(days=3654)
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    if os.name == "posix":
        assert stat.S_IMODE(key_path.stat().st_mode) == 0o600


def test_it_stays_the_same_until_there_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = settings(tmp_path, "pbx.example.com", "192.0.2.1")
    path, key_path = self_made_certificate(first)
    content = path.read_bytes()
    assert self_made_certificate(first) == (path, key_path)
    assert self_made_certificate(settings(tmp_path, "PBX.example.com", "192.0.2.99"))[0].read_bytes() == content
    assert self_made_certificate(settings(tmp_path, ""))[0].read_bytes() == content
    assert self_made_certificate(settings(tmp_path, "other.example.com"))[0].read_bytes() != content
    content = path.read_bytes()
    key_path.write_text("damaged")
    self_made_certificate(settings(tmp_path, ""))
    assert path.read_bytes() != content
    content = path.read_bytes()
    monkeypatch.setattr(certificates, "_RENEW_BEFORE", datetime.timedelta(days=3655))
    self_made_certificate(settings(tmp_path, ""))
    assert path.read_bytes() != content
    assert sorted(each.name for each in path.parent.iterdir()) == ["certificate.pem", "private-key.pem"]


@pytest.mark.parametrize("domain", ["", "käse.example.com", "x" * 70 + ".example.com", "192.0.2.1", "a b"])
def test_whatever_the_domain_there_is_a_certificate_that_works(tmp_path: Path, domain: str) -> None:
    load_contexts(settings(tmp_path, domain))
    content = self_made_certificate(settings(tmp_path, domain))[0].read_bytes()
    load_contexts(settings(tmp_path, domain))
    assert self_made_certificate(settings(tmp_path, domain))[0].read_bytes() == content
    assert describe_certificate(self_made_certificate(settings(tmp_path, domain))[0]).names


def test_it_is_described_for_a_person(tmp_path: Path) -> None:
    described = describe_certificate(self_made_certificate(settings(tmp_path, "pbx.example.com", "192.0.2.1"))[0])
    assert described.names == ("pbx.example.com", "192.0.2.1")
    assert described.self_signed
    assert len(described.fingerprint.split(":")) == 32
    assert described.not_after.year >= datetime.datetime.now(datetime.UTC).year + 9


def test_a_users_own_is_used_with_its_key_in_the_same_file_or_not(tmp_path: Path) -> None:
    path, key_path = self_made_certificate(settings(tmp_path))
    load_contexts(TlsSettings(tmp_path / "unused", certificate=path, private_key=key_path, authorities=path))
    both = tmp_path / "both.pem"
    both.write_bytes(path.read_bytes() + key_path.read_bytes())
    load_contexts(TlsSettings(tmp_path / "unused", certificate=both))
    assert not (tmp_path / "unused").exists()


def test_what_cannot_be_used_is_said_in_words(tmp_path: Path) -> None:
    path, key_path = self_made_certificate(settings(tmp_path))
    _other, other_key = self_made_certificate(settings(tmp_path / "other"))
    text = tmp_path / "text.pem"
    text.write_text("hello")
    locked = tmp_path / "locked.pem"
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    missing = tmp_path / "missing.pem"
    for wrong, message in (
        (TlsSettings(tmp_path, certificate=missing), f"The certificate {missing} cannot be read: No such file"),
        (TlsSettings(tmp_path, certificate=text), f"The certificate {text} is not a certificate in PEM form"),
        (
            TlsSettings(tmp_path, certificate=path, private_key=missing),
            f"private key {missing} cannot be read: No such",
        ),
        (TlsSettings(tmp_path, certificate=path, private_key=text), f"private key {text} cannot be used"),
        (
            TlsSettings(tmp_path, certificate=path, private_key=other_key),
            f"private key {other_key} does not belong to the certificate {path}",
        ),
        (TlsSettings(tmp_path, certificate=path, private_key=locked), f"private key {locked} is protected by a passw"),
        (TlsSettings(tmp_path, authorities=missing), f"file of authorities {missing} cannot be read: No such file"),
        (TlsSettings(tmp_path, authorities=text), f"file of authorities {text} has no certificate"),
    ):
        with pytest.raises(CertificateError) as caught:
            load_contexts(wrong)
        assert message in str(caught.value)


def test_a_folder_that_cannot_be_written_to_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file in the way")
    with pytest.raises(CertificateError, match="cannot be written to"):
        self_made_certificate(settings(tmp_path))
