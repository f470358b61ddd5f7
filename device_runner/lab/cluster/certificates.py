"""The cluster's own certificate authority, and a certificate for each host. Ray checks both ends, by address."""

from __future__ import annotations

import datetime
import ipaddress
from typing import TYPE_CHECKING

from device_runner.lab.cluster.home import Home

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

_DAYS = 3650


def make_authority(home: Home) -> None:
    """Made once, on the head; its key stays there."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    if home.authority.is_file() and home.authority_key.is_file():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("edgedeploy lab")
    basic = x509.BasicConstraints(ca=True, path_length=0)
    certificate = _builder(name, name, key.public_key()).add_extension(basic, critical=True).sign(key, _sha256())
    home.keep_secret(home.authority_key, _key_text(key))
    home.keep_secret(home.authority, _text(certificate))


def issue(home: Home, address: str) -> tuple[str, str]:
    """(certificate, key), as PEM, for the host with this address."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority = x509.load_pem_x509_certificate(home.authority.read_bytes())
    signer = load_pem_private_key(home.authority_key.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    addresses = [x509.IPAddress(ipaddress.ip_address(each)) for each in dict.fromkeys((address, "127.0.0.1"))]
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses])
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = _builder(_name(address), authority.subject, key.public_key())
    builder = builder.add_extension(names, critical=False).add_extension(both, critical=False)
    return _text(builder.sign(signer, _sha256())), _key_text(key)


def _name(common: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
        .serial_number(x509.random_serial_number())
        # a host whose clock is a little behind takes it too
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=_DAYS))
    )  # fmt: skip


def _sha256() -> hashes.SHA256:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def _text(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
