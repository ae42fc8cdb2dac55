"""Messages for browsers, against a double of a browser (RFC 8291) and what a push service checks (RFC 8292)."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("cryptography", reason="cryptography is installed with roomtone[dashboard]")
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from dashboard.alerts import web_push
from dashboard.alerts.push_subscription import PushSubscription, decode_base64, encode_base64
from dashboard.alerts.web_push import MAX_PAYLOAD, VapidKey, encrypt
from tests.support.push import BrowserDouble

NOW = 1_770_000_000.0


def test_the_double_reads_the_example_of_rfc_8291():
    private = int.from_bytes(decode_base64("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big")
    browser = BrowserDouble(
        ec.derive_private_key(private, ec.SECP256R1()), decode_base64("BTBZMqHH6r4Tts7J_aSIgg")
    )
    body = decode_base64(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
        "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert browser.decrypt(body) == b"When I grow up, I want to be a watermelon"


def test_only_the_browser_reads_a_message():
    browser = BrowserDouble()
    body = encrypt(b'{"title": "Kitchen"}', browser.subscription())
    assert browser.decrypt(body) == b'{"title": "Kitchen"}'
    assert b"Kitchen" not in body
    with pytest.raises(InvalidTag):
        BrowserDouble(auth=browser.auth).decrypt(body)
    with pytest.raises(InvalidTag):
        BrowserDouble(browser.key).decrypt(body)
    # Salt and key are new for each message.
    assert encrypt(b"x", browser.subscription())[:86] != encrypt(b"x", browser.subscription())[:86]
    assert len(encrypt(b"x" * MAX_PAYLOAD, browser.subscription())) < web_push.RECORD_SIZE
    with pytest.raises(ValueError, match="at most"):
        encrypt(b"x" * (MAX_PAYLOAD + 1), browser.subscription())


def test_the_push_service_can_check_who_sends():
    key = VapidKey(VapidKey.generate())
    headers = key.headers("https://push.example.org:8443/send/1?x", "mailto:me@example.org", NOW)
    scheme, _, rest = headers["Authorization"].partition(" ")
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    head, claims, signature = fields["t"].split(".")
    assert (scheme, json.loads(decode_base64(head))) == ("vapid", {"typ": "JWT", "alg": "ES256"})
    assert json.loads(decode_base64(claims)) == {
        "aud": "https://push.example.org:8443",
        "exp": round(NOW) + 12 * 3600,
        "sub": "mailto:me@example.org",
    }
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode_base64(fields["k"]))
    raw = decode_base64(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        public.verify(der, f"{head}.{claims}x".encode(), ec.ECDSA(hashes.SHA256()))
    assert headers["Content-Encoding"] == "aes128gcm"
    assert fields["k"] == key.public()


@pytest.mark.parametrize(
    ("endpoint", "p256dh", "auth"),
    [
        ("ftp://push.example.org", None, None),
        ("https://push.example.org", "AAAA", None),
        ("https://push.example.org", "not base64!", None),
        ("https://push.example.org", encode_base64(b"\4" + b"\1" * 64), None),
        ("https://push.example.org", None, "AAAA"),
    ],
)
def test_what_is_no_subscription_is_refused(endpoint, p256dh, auth):
    browser = BrowserDouble()
    with pytest.raises(ValueError):
        PushSubscription.parse(
            endpoint, p256dh or encode_base64(browser.public), auth or encode_base64(browser.auth)
        )
