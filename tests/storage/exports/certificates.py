"""Keys with certificates as the C2PA certificate profile (C2PA 14.5) wants them, for the tests of signing."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_KEY_USES = (
    "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
    " encipher_only decipher_only"
)


@dataclass(frozen=True)
class Signing:
    """PEM files: the signer's key, and its chain with the signer's certificate first."""

    key: Path
    chain: Path
    certificate_sha256: str


def new_key(algorithm: str) -> Key:
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm.startswith("ps"):
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key({"es256": ec.SECP256R1(), "es384": ec.SECP384R1()}[algorithm])


def make_signing(
    folder: Path,
    algorithm: str = "es256",
    *,
    last_day: timedelta = timedelta(days=30),
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    password: bytes | None = None,
) -> Signing:
    """A root, and a signer that it certifies until so long from now and for this purpose."""
    root, signer = new_key(algorithm), new_key(algorithm)
    root_id = x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    root_certificate = (
        _begun("Root", "Root", root, timedelta(days=60))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_uses("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(root_id, critical=False)
        .sign(root, _hash(algorithm))
    )
    certificate = (
        _begun("Signer", "Root", signer, last_day)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_uses("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(signer.public_key()), critical=False)
        .sign(root, _hash(algorithm))
    )
    folder.mkdir(parents=True, exist_ok=True)
    key_file, chain_file = folder / f"{algorithm}.key.pem", folder / f"{algorithm}.chain.pem"
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    key_file.write_bytes(
        signer.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    )
    chain_file.write_bytes(
        b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (certificate, root_certificate))
    )
    return Signing(key_file, chain_file, certificate.fingerprint(hashes.SHA256()).hex())


def _begun(subject: str, issuer: str, key: Key, last_day: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + last_day)
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "An archive"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _uses(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in allowed for name in _KEY_USES.split()})


def _hash(algorithm: str) -> hashes.SHA256 | None:
    return None if algorithm == "ed25519" else hashes.SHA256()
