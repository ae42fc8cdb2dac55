"""A double of a browser that has asked for notifications: it reads them as RFC 8188 and RFC 8291 say."""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dashboard.alerts.push_subscription import PushSubscription, encode_base64


class BrowserDouble:
    """Subscribes, and reads messages as a browser does: by RFC 8188 and RFC 8291, with HKDF written out."""

    def __init__(self, private=None, auth=None):
        self.key = private or ec.generate_private_key(ec.SECP256R1())
        self.auth = auth or os.urandom(16)
        self.public = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def subscription(self, endpoint="https://push.example.org/send/1"):
        return PushSubscription.parse(endpoint, encode_base64(self.public), encode_base64(self.auth))

    def decrypt(self, body):
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert length == 65
        assert len(sealed) <= size
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        info = b"WebPush: info\0" + self.public + sender
        material = expand(extract(self.auth, self.key.exchange(ec.ECDH(), peer)), info, 32)
        secret = extract(salt, material)
        key = expand(secret, b"Content-Encoding: aes128gcm\0", 16)
        nonce = expand(secret, b"Content-Encoding: nonce\0", 12)
        plain = AESGCM(key).decrypt(nonce, sealed, None)
        text, delimiter = plain.rstrip(b"\0")[:-1], plain.rstrip(b"\0")[-1:]
        assert delimiter == b"\2"
        return text


def extract(salt, material):
    return hmac.digest(salt, material, hashlib.sha256)


def expand(key, info, length):
    return hmac.digest(key, info + b"\1", hashlib.sha256)[:length]
