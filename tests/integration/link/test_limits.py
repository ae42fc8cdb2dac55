"""The rates at the broker's port, in a network of two machines that the kernel makes up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RULES = Path(__file__).resolve().parents[3] / "docker" / "broker" / "limits.nft"
SERVER = """
import socket
server = socket.create_server(("0.0.0.0", 8883), backlog=200)
print("ready", flush=True)
kept = []
while True:
    kept.append(server.accept()[0])
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


def connections(network, load_rules):
    broker, client = network
    if load_rules:
        command = ["ip", "netns", "exec", broker, "nft", "-f", str(RULES)]
        loaded = subprocess.run(command, capture_output=True, check=False)
        assert loaded.returncode == 0, loaded.stderr.decode()
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
