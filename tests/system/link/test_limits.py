"""The rates at the broker's port, in a network of two machines that the kernel makes up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.broker import mosquitto

RULES = Path(__file__).resolve().parents[3] / "docker" / "broker" / "limits.nft"
SERVER = """
import socket
server = socket.create_server(("0.0.0.0", 8883), backlog=200)
print("ready", flush=True)
kept = []
while True:
    kept.append(server.accept()[0])
"""
PUBLISHER = """
import sys, threading, time
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
address, size, pause, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
sent, waits, up = {}, [], threading.Event()
client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
client.on_connect = lambda *_: up.set()
client.on_publish = lambda _c, _d, mid, *_: waits.append(time.monotonic() - sent.pop(mid))
client.connect("10.99.0.1", 8883, bind_address=address)
client.loop_start()
assert up.wait(10)
end = time.monotonic() + seconds
while time.monotonic() < end:
    if len(sent) < 20:
        began = time.monotonic()
        sent[client.publish("x", bytes(size), qos=1).mid] = began
    time.sleep(pause)
print(len(waits) * size, max(waits, default=seconds))
"""
CLIENT = """
import socket, sys
up = []
for _ in range(60):
    one = socket.socket()
    one.settimeout(0.1)
    try:
        one.connect((sys.argv[1], 8883))
        up.append(one)
    except OSError:
        one.close()
print(len(up))
"""


def run(*words, check=True):
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    if check and done.returncode:
        pytest.skip(f"this machine does not let us make networks: {done.stderr.strip()}")
    return done.stdout


@pytest.fixture
def network():
    """Names of two machines; the first is the broker's, 10.99.0.1."""
    if os.geteuid() != 0 or shutil.which("nft") is None or shutil.which("ip") is None:
        pytest.skip("needs root, nft and ip: apt-get install nftables iproute2")
    names = [f"rt{os.getpid()}{side}" for side in "ab"]
    try:
        for name in names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run(
            "ip",
            "link",
            "add",
            "va",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            "vb",
            "netns",
            names[1],
        )
        for number, (name, end) in enumerate(zip(names, ("va", "vb"), strict=True), 1):
            run("ip", "-n", name, "addr", "add", f"10.99.0.{number}/24", "dev", end)
            run("ip", "-n", name, "link", "set", end, "up")
        yield names
    finally:
        for name in names:
            run("ip", "netns", "del", name, check=False)


def load(broker):
    command = ["ip", "netns", "exec", broker, "nft", "-f", str(RULES)]
    loaded = subprocess.run(command, capture_output=True, check=False)
    assert loaded.returncode == 0, loaded.stderr.decode()


def connections(network, load_rules):
    broker, client = network
    if load_rules:
        load(broker)
    enter = ["ip", "netns", "exec"]
    server = subprocess.Popen([*enter, broker, sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"ready\n"
        own = int(run(*enter, broker, sys.executable, "-c", CLIENT, "127.0.0.1"))
        return own, int(run(*enter, client, sys.executable, "-c", CLIENT, "10.99.0.1"))
    finally:
        server.kill()
        server.wait()


def test_one_address_gets_twenty_connections_at_once_and_this_machine_all_it_wants(network):
    own, other = connections(network, load_rules=True)
    assert own == 60
    assert 20 <= other <= 26  # one more every two seconds


def test_without_the_rules_it_gets_them_all(network):
    assert connections(network, load_rules=False) == (60, 60)


SECONDS = 8


@pytest.fixture
def broker(network, tmp_path):
    """A real one on the first machine; the second has a further address, 10.99.0.3."""
    run("ip", "-n", network[1], "addr", "add", "10.99.0.3/24", "dev", "vb")
    user = "user root\n" if os.geteuid() == 0 else ""
    (tmp_path / "conf").write_text(f"{user}listener 8883 10.99.0.1\nallow_anonymous true\n")
    command = ["ip", "netns", "exec", network[0], mosquitto(), "-c", str(tmp_path / "conf")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        while b"running" not in (line := process.stderr.readline()):
            assert line, "mosquitto has ended"
        yield network
    finally:
        process.kill()
        process.wait()


def publish(network, address, size, pause):
    command = [
        "ip", "netns", "exec", network[1], sys.executable, "-c", PUBLISHER, address, str(size), str(pause), str(SECONDS)
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def flood_and_room(network):
    """Bytes of the flood, bytes of a room that drains what waited (3 KiB a second), and the longest wait there."""
    both = [publish(network, "10.99.0.2", 8000, 0.001), publish(network, "10.99.0.3", 600, 0.2)]
    said = [process.communicate(timeout=60)[0].split() for process in both]
    return int(said[0][0]), int(said[1][0]), float(said[1][1])


@pytest.mark.long
def test_one_address_sends_no_more_than_its_bytes_a_second_and_a_room_beside_it_loses_no_time(broker):
    free, *_ = flood_and_room(broker)
    load(broker[0])
    flood, room, wait = flood_and_room(broker)
    print(
        f"{free} bytes in {SECONDS} s without the rules, {flood} with them; room: {room}, at most {wait:.3f} s"
    )
    # The kernel's bucket for bytes holds the burst and a second of the rate; one second more for the start.
    allowed = (512 + 128 + 128 * (SECONDS + 1)) * 1024
    assert free > 2 * allowed
    assert 0 < flood < allowed
    assert room > 600 * 5 * SECONDS * 0.8
    assert wait < 1
