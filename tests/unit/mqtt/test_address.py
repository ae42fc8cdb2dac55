"""One grammar for the broker's URL, and for `mqtt.host`: understood, or refused with the remedy."""

import pytest

from edge.config.load import load
from edge.mqtt.address import from_config, parse
from edge.util.errors import UserError
from edge.util.hostnames import normalized


@pytest.mark.parametrize(
    ("text", "host", "port", "user"),
    [
        ("mqtt://127.0.0.1", "127.0.0.1", 1883, ""),
        ("mqtt://hub.lan:2883/", "hub.lan", 2883, ""),
        ("MQTTS://hub.lan", "hub.lan", 8883, ""),
        ("mqtt://anna%40home@hub", "hub", 1883, "anna@home"),
        ("mqtt://anna@home@hub", "hub", 1883, "anna@home"),
        ("mqtt://room#1@hub", "hub", 1883, "room#1"),
        ("mqtt://who?@hub", "hub", 1883, "who?"),
        ("mqtt://a/b@hub", "hub", 1883, "a/b"),
        ("mqtt://a%3Ab@hub", "hub", 1883, "a:b"),
        ("mqtt://[::1]:1884", "::1", 1884, ""),
        ("mqtt://[fe80::1]", "fe80::1", 1883, ""),
        ("mqtt://müller.example", "xn--mller-kva.example", 1883, ""),
        ("mqtt://hub.", "hub.", 1883, ""),
        ("mqtt://hub_1", "hub_1", 1883, ""),
    ],
)
def test_an_address_is_read(text, host, port, user):
    address = parse(text, environment={"ROOMTONE_MQTT_PASSWORD": "geheim"})
    assert (address.host, address.port, address.username, address.password) == (host, port, user, "geheim")
    assert "geheim" not in repr(address)
    assert "geheim" not in str(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hub",
        "hub:1883",
        "http://hub",
        "mqtt://",
        "mqtt://user@",
        "mqtt://hub:99999",
        "mqtt://hub:0",
        "mqtt://hub:x",
        "mqtt://hub:",
        "mqtt://hub:+1",
        "mqtt://hub/topic",
        "mqtt://hub?x=1",
        "mqtt://hub#x",
        "mqtt://u:p@hub",
        "mqtt://::1",
        "mqtt://[hub]:x",
        "mqtt://[::1",
        "mqtt://hub name",
        "mqtt://-é\u0000",
        "mqtt://" + "a" * 300,
    ],
)
def test_a_wrong_address_is_refused_with_the_remedy(text):
    with pytest.raises(UserError, match=r"--broker.*(mqtt://|password-file)"):
        parse(text)


def test_an_ipv6_address_reads_back_as_it_is_written():
    assert str(parse("mqtts://[::1]")) == "mqtts://[::1]:8883"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("hub.lan", "hub.lan"),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("büro.example", "xn--bro-hoa.example"),
    ],
)
def test_a_host_is_normalized(text, result):
    assert normalized(text) == result


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("hub:1883", "1883 apart"),
        ("mqtt://hub", "host name alone"),
        ("", "write a host name"),
        ("a b", "write"),
        ("hub/x", "write"),
        ("a..b", "write"),
        ("me@hub", "write"),
    ],
)
def test_what_is_no_host_is_refused_with_the_remedy(text, remedy):
    with pytest.raises(ValueError, match=remedy):
        normalized(text)


def test_the_configuration_names_its_own_keys():
    address = from_config(load(overrides={"mqtt.host": "::1", "mqtt.tls": True, "node.id": "kitchen"}))
    assert (address.host, address.port, address.certificate_name) == ("::1", 8883, "kitchen")
    assert address.names.host == "`mqtt.host`"
    with pytest.raises(UserError, match=r"mqtt\.host.*1883 apart.*mqtt\.port"):
        from_config(load(overrides={"mqtt.host": "hub:1883"}))
