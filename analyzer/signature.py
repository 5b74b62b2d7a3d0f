"""Ed25519 signatures (RFC 8032) over the manifest of an evidence pack.

A signature is the 64 bytes that `openssl pkeyutl -sign -rawin` gives for the same key and file, so that it can be checked without
this program too. Keys are PEM files, as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them.
"""

from __future__ import annotations

from pathlib import Path

from analyzer.errors import UsageError


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError("sign.no_key", name=path.name) from error


def sign(data: bytes, key_file: Path) -> bytes:
    """The signature of `data` with a private key.

    Raises:
        UsageError: the file is not there, or holds no Ed25519 private key without a password.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = _pem(key_file)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError("sign.no_private_key", name=key_file.name) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("sign.no_private_key", name=key_file.name)
    return key.sign(data)


def signed_by(data: bytes, signature: bytes, public_key_file: Path) -> bool:
    """Whether `signature` is that of `data` by the owner of a public key.

    Raises:
        UsageError: the file is not there, or holds no Ed25519 public key.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    pem = _pem(public_key_file)
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError("sign.no_public_key", name=public_key_file.name) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("sign.no_public_key", name=public_key_file.name)
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True
