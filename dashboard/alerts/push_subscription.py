"""Where a browser that asked for notifications is reached. Without the library that encrypts: it takes 7 MB."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

AUTH_BYTES: Final = 16


@dataclass(frozen=True)
class PushSubscription:
    """What a browser gives a page that subscribes."""

    endpoint: str
    p256dh: bytes
    """Its public key: an uncompressed point of P-256."""
    auth: bytes
    """Its authentication secret, 16 bytes."""

    @classmethod
    def parse(cls, endpoint: str, p256dh: str, auth: str) -> PushSubscription:
        """Decode the keys (base64url). Raises `ValueError` for what is no subscription."""
        from cryptography.hazmat.primitives.asymmetric import ec

        public, secret = decode_base64(p256dh), decode_base64(auth)
        if urlsplit(endpoint).scheme not in ("https", "http") or len(secret) != AUTH_BYTES:
            raise ValueError("not a push subscription")
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        return cls(endpoint, public, secret)


def encode_base64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64(text: str) -> bytes:
    """Decode base64url with or without padding. Raises `ValueError`."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
