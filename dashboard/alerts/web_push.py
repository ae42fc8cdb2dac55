"""Web Push: encryption of messages for a browser (RFC 8291), and the hub's own key (VAPID, RFC 8292).

key = VapidKey(private)
body = encrypt(b'{"title": "Kitchen"}', subscription)
headers = key.headers(subscription.endpoint, "mailto:me@example.org", time.time())
"""

from __future__ import annotations

import json
import os
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dashboard.alerts.push_subscription import PushSubscription, encode_base64

RECORD_SIZE: Final = 4096
MAX_PAYLOAD: Final = 3000
"""Bytes; push services take messages of at least 4096 bytes with everything around."""
LIFETIME_S: Final = 12 * 3600
TIME_TO_LIVE_S: Final = 3600
"""How long a push service keeps a message for a browser that is not connected."""
PUBLIC_BYTES: Final = 65


class VapidKey:
    """The hub's key: `private` are the 32 bytes of a private key of P-256."""

    def __init__(self, private: bytes) -> None:
        self._private = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())

    @staticmethod
    def generate() -> bytes:
        """Return the private bytes of a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        return key.private_numbers().private_value.to_bytes(32, "big")

    def public(self) -> str:
        """Return the public key (base64url), which a page gives the browser."""
        return encode_base64(_point(self._private.public_key()))

    def headers(self, endpoint: str, contact: str, now: float) -> dict[str, str]:
        """Return the headers of a message to a push service; `now` in seconds since 1970."""
        url = urlsplit(endpoint)
        claims = {"aud": f"{url.scheme}://{url.netloc}", "exp": round(now) + LIFETIME_S, "sub": contact}
        head = {"typ": "JWT", "alg": "ES256"}
        signed = ".".join(encode_base64(json.dumps(part).encode()) for part in (head, claims))
        r, s = decode_dss_signature(self._private.sign(signed.encode("ascii"), ec.ECDSA(hashes.SHA256())))
        signature = encode_base64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return {
            "Authorization": f"vapid t={signed}.{signature}, k={self.public()}",
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(TIME_TO_LIVE_S),
            "Urgency": "high",
        }


def encrypt(payload: bytes, subscription: PushSubscription) -> bytes:
    """Return the body of a message that only the browser can read. Raises `ValueError` for a payload too long."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"at most {MAX_PAYLOAD} bytes")
    own = ec.generate_private_key(ec.SECP256R1())
    browser = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), subscription.p256dh)
    public = _point(own.public_key())
    info = b"WebPush: info\0" + subscription.p256dh + public
    secret = _hkdf(own.exchange(ec.ECDH(), browser), subscription.auth, info, 32)
    salt = os.urandom(16)
    key = _hkdf(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _hkdf(secret, salt, b"Content-Encoding: nonce\0", 12)
    # The 2 says that this is the last record.
    sealed = AESGCM(key).encrypt(nonce, payload + b"\2", None)
    return salt + RECORD_SIZE.to_bytes(4, "big") + bytes([PUBLIC_BYTES]) + public + sealed


def _hkdf(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(material)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
