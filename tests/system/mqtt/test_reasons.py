"""Every way not to get a connection is said in one line with its remedy, once; and the link keeps trying."""

import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.support.broker import Broker, free_port, refusing_subscriptions
from tests.support.link import LinkProcess, Subscriber
from tests.support.waiting import until


def warnings(link):
    """The codes of its warnings."""
    return [line.partition("[")[2].partition("]")[0] for line in link.lines if line.startswith("WARNING")]


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def with_password(folder, text="secret", user="box"):
    (folder / "password").write_text(f"{text}\n")
    return (f"mqtt.username={user}", f"mqtt.password_file={folder / 'password'}")


@pytest.fixture
def closed_broker(folder):
    """One user, `box`, who may write below roomtone/kitchen only."""
    (folder / "conf").mkdir()
    passwords = folder / "conf" / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "box", "secret"], check=True)
    (folder / "conf" / "acl").write_text(
        "user box\ntopic readwrite roomtone/kitchen/#\ntopic read roomtone/hall/cmd/#\n"
    )
    for file in (folder / "conf").iterdir():
        file.chmod(0o600)
    config = "allow_anonymous false\npassword_file {folder}/passwords\nacl_file {folder}/acl"
    with Broker(config, folder=folder / "conf") as broker:
        yield broker


def test_nobody_listens(folder):
    port = free_port()
    with LinkProcess(folder, port) as link:
        until(lambda: warnings(link))
        assert warnings(link) == ["connection_refused"]
        assert f"127.0.0.1:{port}" in link.coded("connection_refused")[0]


def test_unknown_host(folder):
    with LinkProcess(folder, 1883, settings=("mqtt.host=broker.invalid",)) as link:
        until(lambda: warnings(link), 20)
        assert warnings(link) == ["unknown_host"]


def test_no_password_and_a_wrong_one_and_the_right_one(folder, closed_broker):
    with LinkProcess(folder, closed_broker.port) as link:
        until(lambda: warnings(link))
        assert warnings(link) == ["not_authorized"]
    wrong = with_password(folder, "wrong")
    with LinkProcess(folder, closed_broker.port, settings=wrong) as link:
        until(lambda: "not_authorized" in link.codes or "bad_user_or_password" in link.codes)
    with LinkProcess(folder, closed_broker.port, settings=with_password(folder)) as link:
        until(lambda: "connected" in link.codes)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_bad_credentials_are_said_alike_in_both_versions(folder, closed_broker, version):
    settings = (*with_password(folder, "wrong"), f"mqtt.version={version}")
    with LinkProcess(folder, closed_broker.port, settings=settings) as link:
        until(lambda: warnings(link))
        assert warnings(link)[0] in ("not_authorized", "bad_user_or_password")
        assert "user 'box'" in link.coded(warnings(link)[0])[0]


def test_a_topic_that_the_access_list_forbids(folder, closed_broker):
    from tests.support.link import EarClient
    from tests.support.messages import utterance

    settings = with_password(folder)
    with LinkProcess(folder, closed_broker.port, node="hall", settings=settings) as link:
        until(lambda: "connected" in link.codes)
        with EarClient(link.socket) as ear:
            told = ear.tell(utterance(1))
            until(lambda: told.n in ear.acks, what="kept on disk")
            until(lambda: "events_refused" in link.codes)
        events = [line for line in link.coded("not_authorized") if "(topic roomtone/hall/event)" in line]
        assert len(events) == 1


@pytest.mark.parametrize(
    ("limit", "version"), [("message_size_limit 1500", "5"), ("max_packet_size 1500", "3.1.1")]
)
def test_a_limit_that_the_broker_does_not_announce(folder, limit, version):
    """It closes the connection on the announcement to Home Assistant, at every attempt."""
    from tests.support.link import EarClient

    with (
        Broker(f"allow_anonymous true\n{limit}", folder=folder) as broker,
        Subscriber(broker.port) as subscriber,
        LinkProcess(folder, broker.port, settings=(f"mqtt.version={version}",)) as link,
        EarClient(link.socket) as ear,
    ):
        until(lambda: "packet_too_large" in link.codes, 60, lambda: link.log)
        until(lambda: "broker_lacks" in link.codes, 60, lambda: link.log)
        ear.report()
        until(lambda: subscriber.of("event"), 30, lambda: link.log)
        # How many connections it takes to find out depends on what else was on its way when they were closed.
        connections = link.codes.count("connected")
        time.sleep(5)
        assert link.codes[-1] not in ("connection_closed", "client_id_conflict")
        assert "client_id_conflict" not in link.codes
        assert link.codes.count("connected") == connections <= 6, link.log


def test_another_client_with_the_same_id_is_recognised(folder, broker):
    with LinkProcess(folder, broker.port) as link:
        until(lambda: "connected" in link.codes)
        with Subscriber(broker.port, "roomtone-kitchen"):
            until(lambda: "client_id_conflict" in link.codes, 40)


def test_the_same_reason_is_said_once_and_a_new_one_again(folder):
    port = free_port()
    with LinkProcess(folder, port, settings=("runtime.log_level=debug",)) as link:
        until(lambda: link.codes.count("connection_refused") == 2, 40)
        assert warnings(link) == ["connection_refused"]
        with Broker("allow_anonymous false", folder=folder, port=port):
            until(lambda: "not_authorized" in warnings(link), 60)


def test_something_that_never_answers(folder):
    with socket.create_server(("127.0.0.1", 0)) as mute, LinkProcess(folder, mute.getsockname()[1]) as link:
        until(lambda: "no_answer" in link.codes, 40)
        assert link.stop() == 0


def test_something_that_is_not_a_broker(folder):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    channel, _ = server.accept()
                except OSError:
                    return
                with channel:
                    channel.recv(1000)
                    channel.sendall(b"\x20\xff\xff\xff\xff\xff HTTP/1.1 400 Bad Request\r\n\r\n" * 10)

        threading.Thread(target=serve, daemon=True).start()
        with LinkProcess(folder, server.getsockname()[1]) as link:
            until(lambda: warnings(link), 40)
            assert link.process.poll() is None
            assert link.stop() == 0
        server.shutdown(socket.SHUT_RDWR)


def start(*settings):
    command = [sys.executable, "-m", "edge.cli.main", "link"]
    for setting in settings:
        command += ["--set", setting]
    return subprocess.run(command, capture_output=True, timeout=20, check=False)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("mqtt.username=box", "mqtt.password_file=/absent"), "/absent: cannot be read"),
        (("mqtt.tls=true", "mqtt.ca_file=/etc/hostname"), "not a certificate in PEM form"),
        (("runtime.socket=/absent/link.sock",), "no such directory for the socket"),
        (("runtime.socket=/etc/hostname",), "exists and is not a socket"),
        (("node.id=a/b",), "node.id"),
    ],
)
def test_what_can_never_work_is_refused_at_once_with_status_2(tmp_path, settings, said):
    done = start(f"runtime.socket={tmp_path}/s", *settings)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert len(done.stderr.decode().splitlines()) == 1


def test_a_second_link_on_the_same_socket_is_refused(folder, broker):
    with LinkProcess(folder, broker.port) as link:
        done = start(f"runtime.socket={link.socket}")
        assert done.returncode == 2
        assert b"another program listens there" in done.stderr
        assert link.socket.exists()


def test_the_doctor_says_how_the_broker_is(folder, broker):
    def doctor(port):
        command = [sys.executable, "-m", "edge.cli.main", "doctor", "--json", "--set", f"mqtt.port={port}"]
        done = subprocess.run(
            [*command, "--set", f"runtime.socket={folder}/s"], capture_output=True, timeout=60, check=False
        )
        return {check["name"]: check for check in json.loads(done.stdout)}

    assert "answers, MQTT 5" in doctor(broker.port)["broker"]["detail"]
    broker.stop()
    refused = doctor(broker.port)["broker"]
    assert (refused["state"], "start the broker" in refused["remedy"]) == ("fail", True)


def test_a_subscription_that_the_broker_refuses(folder):
    topic = "roomtone/kitchen/cmd/+"
    (folder / "conf").mkdir()
    config = refusing_subscriptions(folder / "conf", topic)
    with (
        Broker(config, folder=folder / "conf") as broker,
        LinkProcess(folder, broker.port) as link,
    ):
        until(lambda: warnings(link))
        assert warnings(link) == ["not_authorized"]
        assert topic in link.coded("not_authorized")[0]
        until(lambda: "connected" in link.codes)


def test_a_state_folder_that_does_not_exist_is_made_for_the_link_alone(folder, broker):
    place = folder / "state" / "link"
    with LinkProcess(folder, broker.port, settings=(f"runtime.state_dir={place}",)) as link:
        until((place / "kitchen.identity").exists)
        assert not warnings(link), link.log
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_state_folder_that_cannot_be_made_is_said_with_the_remedy(folder, broker):
    (folder / "file").write_text("no folder")
    setting = f"runtime.state_dir={folder / 'file' / 'link'}"
    with LinkProcess(folder, broker.port, settings=(setting,)) as link:
        until(lambda: "connected" in link.codes)
        time.sleep(0.3)
        assert warnings(link) == ["state_dir_missing"]
    command = [sys.executable, "-m", "edge.cli.main", "doctor", "--json", "--set", setting]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    spool = next(check for check in json.loads(done.stdout) if check["name"] == "spool")
    assert (spool["state"], str(folder / "file") in spool["detail"]) == ("warn", True)
