import pytest

from edge.mqtt.address import parse
from edge.util.errors import UserError


@pytest.mark.parametrize(
    ("text", "host", "port", "user"),
    [
        ("mqtt://127.0.0.1", "127.0.0.1", 1883, ""),
        ("mqtt://hub.lan:2883/", "hub.lan", 2883, ""),
        ("mqtt://anna%40home@hub", "hub", 1883, "anna@home"),
        ("mqtt://[::1]:1884", "::1", 1884, ""),
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
        "http://hub",
        "mqtt://",
        "mqtt://hub:99999",
        "mqtt://hub:x",
        "mqtt://hub/topic",
        "mqtt://u:p@hub",
    ],
)
def test_a_wrong_address_is_refused_with_the_remedy(text):
    with pytest.raises(UserError, match=r"--broker.*(mqtt://|password-file)"):
        parse(text)


def test_the_password_comes_from_the_first_line_of_a_file(tmp_path):
    file = tmp_path / "password"
    file.write_text("geheim\nrest\n")
    assert parse("mqtt://a@hub", file, {}).password == "geheim"
    file.write_text("\n")
    with pytest.raises(UserError, match="first line is empty"):
        parse("mqtt://a@hub", file, {})
    with pytest.raises(UserError, match="No such file"):
        parse("mqtt://a@hub", tmp_path / "none", {})
