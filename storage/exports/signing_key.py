"""The key and the certificates to sign with, read from PEM files and held against each other."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from storage.errors import StorageError
from storage.paths import path_to_text

if TYPE_CHECKING:  # comes with the optional dependency c2pa-python
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

Algorithm = Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"]

_MAX_BYTES = 1 << 20
_CURVES = {"es256": "secp256r1", "es384": "secp384r1", "es512": "secp521r1"}
_LEAST_RSA_BITS = 2048


class UnusableKey(StorageError):  # noqa: N818 - the finding, as with UnreadableImage
    """A key or a certificate that cannot be used; the message names the file."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "signing_key")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key (PKCS #8) and its chain of certificates, the signer's first, both as PEM.

    `certificate_sha256` is the digest of the signer's certificate, by which it is known.
    """

    algorithm: Algorithm
    chain: bytes
    private_key: bytes = field(repr=False)
    certificate_sha256: str


def read_signing_key(key: Path, certificate: Path, algorithm: str) -> SigningKey:
    """Read a key and the certificates of its signer.

    Raises:
        ImportError: the package cryptography is not installed.
        UnusableKey: a file cannot be read or used, key and certificate are not each other's, or the key is not one for
            the algorithm.
    """
    from cryptography.hazmat.primitives import hashes, serialization

    if algorithm not in get_args(Algorithm):
        raise UnusableKey(f"the algorithm {algorithm!r} is not known; use one of {', '.join(get_args(Algorithm))}")
    private = _private_key(key)
    _check_kind(private, algorithm, path_to_text(key))
    chain = _certificates(certificate)
    signer, name = chain[0], path_to_text(certificate)
    if _public_pem(signer.public_key()) != _public_pem(private.public_key()):
        raise UnusableKey(f"{name}: the first certificate is not that of the key {path_to_text(key)}")
    _check_certificate(signer, name)
    return SigningKey(
        algorithm,  # type: ignore[arg-type]  # one of them, as was seen above
        b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain),
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        signer.fingerprint(hashes.SHA256()).hex(),
    )


def _private_key(file: Path) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content, name = _content(file), path_to_text(file)
    try:
        return load_pem_private_key(content, password=None)
    except TypeError:
        raise UnusableKey(f"{name}: the key is protected by a password; give one that is not") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey(f"{name}: holds no private key as PEM") from None


def _certificates(file: Path) -> "list[Certificate]":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(_content(file))
    except ValueError:
        raise UnusableKey(f"{path_to_text(file)}: holds no certificates as PEM") from None


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UnusableKey(f"{path_to_text(file)}: cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise UnusableKey(f"{path_to_text(file)}: is too large for a key or certificates")
    return content


def _check_kind(key: "PrivateKeyTypes", algorithm: str, name: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm == "ed25519":
        fits, wanted = isinstance(key, ed25519.Ed25519PrivateKey), "an Ed25519 key"
    elif algorithm in _CURVES:
        curve = _CURVES[algorithm]
        fits = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == curve
        wanted = f"a key on the curve {curve}"
    else:
        fits = isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS
        wanted = f"an RSA key of at least {_LEAST_RSA_BITS} bits"
    if not fits:
        raise UnusableKey(f"{name}: {algorithm} needs {wanted}")


def _check_certificate(certificate: "Certificate", name: str) -> None:
    now = datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        raise UnusableKey(f"{name}: the certificate is valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}, not now")
    if certificate.issuer == certificate.subject:
        raise UnusableKey(f"{name}: the certificate is its own issuer, which C2PA does not take; have it issued")


def _public_pem(key: object) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    found: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return found
