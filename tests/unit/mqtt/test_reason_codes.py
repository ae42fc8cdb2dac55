"""Every way not to get a connection has a code of its own, and a remedy that names the user's own setting."""

import errno
import socket
import ssl

import pytest

from edge.mqtt import reason_codes
from edge.mqtt.address import CONFIG_NAMES, OPTION_NAMES, BrokerAddress
from edge.mqtt.reason_codes import Identity
from edge.util.errors import UserError


def who(names=CONFIG_NAMES, **more):
    return Identity(BrokerAddress("hub", 1883, names=names, **more), "roomtone-kitchen")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (socket.gaierror(-2, "Name or service not known"), "unknown_host"),
        (ConnectionRefusedError(), "connection_refused"),
        (TimeoutError(), "timeout"),
        (ConnectionResetError(), "connection_reset"),
        (OSError(errno.EHOSTUNREACH, "no route"), "unreachable"),
        (OSError(errno.ENETUNREACH, "no network"), "unreachable"),
        (UserError("/x: cannot be read"), "bad_files"),
        (OSError(errno.EMFILE, "too many files"), f"error_{errno.EMFILE}"),
        (ssl.SSLError("[SSL: WRONG_VERSION_NUMBER] wrong version number"), "tls_not_spoken"),
        (ssl.SSLError("tlsv13 alert certificate required"), "certificate_required"),
        (ssl.SSLError("sslv3 alert certificate expired"), "certificate_expired"),
        (ssl.SSLError("sslv3 alert certificate revoked"), "certificate_revoked"),
        (ssl.SSLError("tlsv1 alert unknown ca"), "certificate_unknown_ca"),
        (ssl.SSLError("something else"), "tls_failed"),
    ],
)
def test_errors_have_codes(error, code):
    assert reason_codes.of_exception(error, who()).code == code


def test_every_code_of_mqtt_5_has_a_word_of_its_own():
    defined = [*range(0x80, 0x8B), 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, *range(0x95, 0xA0), 0xA1, 0xA2]
    words = [reason_codes.of_code(code, "", who()).code for code in defined]
    assert not [word for word in words if word.startswith("mqtt_")]
    assert len(set(words)) == len(words)


def test_an_unknown_code_is_named_by_its_number():
    assert reason_codes.of_code(0xC7, "", who()).code == "mqtt_0xc7"


@pytest.mark.parametrize("code", range(0x80, 0xA3))
@pytest.mark.parametrize("names", [CONFIG_NAMES, OPTION_NAMES])
def test_no_text_names_the_settings_of_another_program_nor_none(code, names):
    text = reason_codes.of_code(code, "", who(names)).text
    assert "None" not in text
    assert ("mqtt." in text) <= (names is CONFIG_NAMES)
    assert ("--" in text) <= (names is OPTION_NAMES)


def test_a_topic_that_is_refused_is_named():
    assert "roomtone/hall/event" in reason_codes.of_code(0x87, "", who(), "roomtone/hall/event").text


def test_the_user_is_named_where_there_is_one():
    assert "'anna'" in reason_codes.of_code(0x86, "", who(username="anna")).text
    assert "roomtone-kitchen" in reason_codes.of_code(0x86, "", who()).text


@pytest.mark.parametrize(("host", "named"), [("hub.local", True), ("hub.local.", True), ("hub.lan", False)])
def test_a_name_that_needs_mdns_names_what_brings_it(host, named):
    address = BrokerAddress(host, 1883, names=CONFIG_NAMES)
    unknown = socket.gaierror(-2, "Name or service not known")
    text = reason_codes.of_exception(unknown, Identity(address, "roomtone-kitchen")).text
    assert ("libnss-mdns" in text) is named


def test_not_authorised_names_the_password_too():
    assert "mqtt.password_file" in reason_codes.of_code(0x87, "", who()).text
