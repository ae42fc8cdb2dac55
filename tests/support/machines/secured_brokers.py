"""The brokers of `tests.support.machines.brokers` with TLS: clients show a password or a certificate."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from provisioning.fleet.authority import Authority, cert_pem, key_pem, new_ca, new_key
from tests.support.broker import HOST, free_port
from tests.support.machines.brokers import OtherBroker, aedes_place, amqtt_place, inside

USER: Final = "kitchen"
PASSWORD: Final = "a-password-for-the-test"


class Secured(NamedTuple):
    """A running broker, and the ports at which a client shows a password and a certificate; None: it has none."""

    broker: OtherBroker
    password_port: int
    certificate_port: int | None


def write_credentials(folder: Path) -> None:
    """Write an authority's certificate, the broker's and a client's with their keys, and the password."""
    now = datetime.now(UTC)
    authority = Authority("test", *new_ca("test", now))
    broker, client = new_key(), new_key()
    files = {
        "ca.crt": cert_pem(authority.certificate),
        "broker.crt": cert_pem(authority.issue_broker([HOST, "localhost"], broker.public_key(), now, 30)),
        "broker.key": key_pem(broker),
        "client.crt": cert_pem(authority.issue_client(USER, "device", client.public_key(), now, 30)),
        "client.key": key_pem(client),
        "password": f"{PASSWORD}\n",
    }
    folder.chmod(0o777)
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    (folder / "broker.pem").write_text(files["broker.crt"] + files["broker.key"] + files["ca.crt"])


def mosquitto_13(folder: Path) -> Secured:
    """Two listeners: one reads passwords, one takes the name in the certificate."""
    ports = free_port(), free_port()
    subprocess.run(["mosquitto_passwd", "-b", "-c", folder / "passwords", USER, PASSWORD], check=True)
    tls = "certfile /test/broker.crt\nkeyfile /test/broker.key\nallow_anonymous false\n"
    (folder / "mosquitto.conf").write_text(
        f"user root\nper_listener_settings true\nlistener {ports[0]} {HOST}\n{tls}password_file /test/passwords\n"
        f"listener {ports[1]} {HOST}\n{tls}cafile /test/ca.crt\nrequire_certificate true\n"
        "use_identity_as_username true\n"
    )
    command = inside(folder, "mosquitto", "mosquitto", "-c", "/test/mosquitto.conf")
    return Secured(OtherBroker(folder, command, ports[0]), *ports)


def rabbitmq(folder: Path) -> Secured:
    """One listener: without a certificate it reads the password."""
    port = free_port()
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp = none\nmqtt.listeners.tcp = none\nmqtt.listeners.ssl.1 = {HOST}:{port}\n"
        f"mqtt.allow_anonymous = false\ndefault_user = {USER}\ndefault_pass = {PASSWORD}\n"
        "ssl_options.cacertfile = /test/ca.crt\nssl_options.certfile = /test/broker.crt\n"
        "ssl_options.keyfile = /test/broker.key\nssl_options.verify = verify_peer\n"
        "ssl_options.fail_if_no_peer_cert = false\nmqtt.ssl_cert_login = true\n"
        "ssl_cert_login_from = common_name\n"
    )
    (folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
    environment = {
        "RABBITMQ_CONFIG_FILE": "/test/rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": "/test/enabled_plugins",
        "RABBITMQ_NODENAME": "rabbit@localhost",
        "ERL_EPMD_ADDRESS": HOST,
    }
    command = inside(folder, "rabbitmq", "env", "-u", "NOTIFY_SOCKET", "rabbitmq-server", **environment)
    return Secured(OtherBroker(folder, command, port), port, port)


EJABBERD = """
loglevel: warning
hosts: [localhost]
certfiles: [/test/broker.pem]
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: mod_mqtt
    tls: true
auth_method: [internal]
modules:
  mod_mqtt:
    access_publish: {{}}
    access_subscribe: {{}}
"""
EJABBERD_START = f"""
install -d -o ejabberd /run/ejabberd && cp /test/ejabberd.yml /etc/ejabberd/ejabberd.yml
ctl="env -u NOTIFY_SOCKET ejabberdctl --node ejabberd@localhost"
$ctl foreground &
until $ctl register {USER} localhost {PASSWORD}; do sleep 1; done
wait
"""


def ejabberd(folder: Path) -> Secured:
    """With a password: in a certificate it wants an address of XMPP."""
    port = free_port()
    (folder / "ejabberd.yml").write_text(EJABBERD.format(port=port))
    command = inside(folder, "ejabberd", "sh", "-c", EJABBERD_START, ERL_EPMD_ADDRESS=HOST)
    return Secured(OtherBroker(folder, command, port), port, None)


RUMQTTD = """
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 10485760
max_segment_count = 10
[v4.1]
name = "v4-1"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = 65536
max_inflight_count = 100
dynamic_filters = true
[v4.1.connections.auth]
{user} = "{password}"
[v4.1.tls]
certpath = "{folder}/broker.crt"
keypath = "{folder}/broker.key"
"""


def rumqttd(folder: Path) -> Secured:
    """With a password: as iotcore has it, it was built without `verify-client-cert`."""
    port = free_port()
    text = RUMQTTD.format(host=HOST, port=port, user=USER, password=PASSWORD, folder=folder)
    (folder / "rumqttd.toml").write_text(text)
    command = [sys.executable, "-m", "iotcore", "--config", str(folder / "rumqttd.toml")]
    return Secured(OtherBroker(folder, command, port), port, None)


def amqtt(folder: Path) -> Secured:
    """With a password: what it has for certificates wants addresses of a site of its own in them."""
    port = free_port()
    place = amqtt_place()
    program = "import sys, pwdlib.hashers.argon2 as a; print(a.Argon2Hasher().hash(sys.argv[1]))"
    made = subprocess.run(
        [place / "bin" / "python", "-c", program, PASSWORD], capture_output=True, text=True, check=True
    )
    (folder / "passwords").write_text(f"{USER}:{made.stdout}")
    listener = {
        "type": "tcp", "bind": f"{HOST}:{port}", "ssl": True,
        "certfile": str(folder / "broker.crt"), "keyfile": str(folder / "broker.key"),
    }  # fmt: skip
    plugin = {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(folder / "passwords")}}
    (folder / "amqtt.yaml").write_text(json.dumps({"listeners": {"default": listener}, "plugins": plugin}))
    command = [str(place / "bin" / "amqtt"), "-c", str(folder / "amqtt.yaml")]
    return Secured(OtherBroker(folder, command, port), port, None)


AEDES = """
const { readFileSync } = require("fs");
const [folder, port, host, user, password] = process.argv.slice(2);
const read = (name) => readFileSync(`${folder}/${name}`);
const broker = require("aedes")({
  authenticate: (client, name, secret, done) =>
    done(null, client.conn.authorized || (name === user && String(secret) === password)),
});
require("tls")
  .createServer(
    { cert: read("broker.crt"), key: read("broker.key"), ca: read("ca.crt"), requestCert: true,
      rejectUnauthorized: false },
    broker.handle,
  )
  .listen(port, host);
"""


def aedes(folder: Path) -> Secured:
    """A program of its own decides: a certificate of the authority, or the password."""
    port = free_port()
    place = aedes_place()
    (place / "secured.cjs").write_text(AEDES)
    command = ["node", str(place / "secured.cjs"), str(folder), str(port), HOST, USER, PASSWORD]
    return Secured(OtherBroker(folder, command, port), port, port)


SECURED: Final[dict[str, Callable[[Path], Secured]]] = {
    "mosquitto 2.0.21": mosquitto_13,
    "RabbitMQ 4.0": rabbitmq,
    "ejabberd 24.12": ejabberd,
    "rumqttd": rumqttd,
    "amqtt 0.12": amqtt,
    "aedes 0.51": aedes,
}
