"""What mosquitto refuses is counted from its log by client, in bounded memory, and hostile names do no harm."""

from __future__ import annotations

import io

import pytest

from provisioning.hub.denials import MAX_CLIENT, MAX_DENIALS, MAX_FILE, MAX_TOPIC, Denials, follow, read

SESSION = """\
1795699574: New connection from 127.0.0.1:53287 on port 8883.
1795699574: New client connected from 127.0.0.1:53287 as kitchen (p5, c1, k60, u'kitchen').
1795699574: No will message specified.
1795699574: Sending CONNACK to kitchen (0, 0)
1795699575: Denied PUBLISH from kitchen (d0, q1, r0, m1, 'roomtone/hall/event', ... (2 bytes))
1795699575: Sending PUBACK to kitchen (m1, rc135)
1795699575: Denied PUBLISH from kitchen (d0, q0, r1, m0, 'roomtone/study/event', ... (2 bytes))
1795699575: Received SUBSCRIBE from kitchen
1795699575: \troomtone/kitchen/cmd/+ (QoS 1)
1795699575: kitchen 1 roomtone/kitchen/cmd/+
1795699575: \troomtone/hall/cmd/+ (QoS 1)
1795699575: \t# (QoS 0)
1795699575: Sending SUBACK to kitchen
1795699575: Received PUBLISH from kitchen (d0, q1, r0, m2, 'roomtone/kitchen/event', ... (2 bytes))
1795699576: OpenSSL Error[0]: error:0A0000C7:SSL routines::peer did not return a certificate
1795699576: Client <unknown> disconnected: Protocol error.
1795699576: OpenSSL Error[0]: error:0A000126:SSL routines::unexpected eof while reading
1795699577: Client connection from 127.0.0.1 failed: error:0A000086:SSL routines::certificate verify failed.
1795699578: Client attic disconnected, not authorised.
1795699579: Client kitchen disconnected.
1795699580: Client <unknown> disconnected, not authorised.
"""


def counted(*lines):
    denials = Denials()
    for line in lines:
        denials.add(line)
    return denials


def seen(denials):
    return {(one.client, one.kind): (one.count, one.topic) for one in denials.report().denials}


def test_what_was_refused_is_counted_by_client_and_what_was_granted_is_not():
    denials = counted(*SESSION.splitlines())
    assert seen(denials) == {
        ("kitchen", "publish"): (2, "roomtone/study/event"),
        ("kitchen", "subscribe"): (2, "#"),
        ("", "no_certificate"): (1, ""),
        ("", "certificate"): (1, ""),
        ("attic", "login"): (1, ""),
        ("", "login"): (1, ""),
    }
    assert denials.report().total == 8


@pytest.mark.parametrize(
    "topic",
    [
        "a (d0, q1, r0, m1, 'b",
        "a', ... (1 bytes))",
        "Denied PUBLISH from hall (d0, q1, r0, m1, 'x', ... (1 bytes))",
        "Client hall disconnected, not authorised.",
        "SSL routines::certificate verify failed",
    ],
)
def test_no_topic_accuses_another_client(topic):
    denials = counted(f"1: Denied PUBLISH from kitchen (d0, q1, r0, m1, '{topic}', ... (1 bytes))")
    counted_of = {one.client: one.count for one in denials.report().denials}
    assert counted_of == {"kitchen": 1}
    assert not seen(counted(f"1: Received PUBLISH from kitchen (d0, q1, r0, m1, '{topic}', ... (1 bytes))"))
    granted = ("1: Received SUBSCRIBE from kitchen", f"1: \t{topic} (QoS 1)", f"1: kitchen 1 {topic}")
    assert not seen(counted(*granted, "1: Sending SUBACK to kitchen"))


def test_what_the_fleet_command_proves_is_no_denial():
    assert not seen(counted("Received SUBSCRIBE from fleet", "\t# (QoS 0)", "Sending SUBACK to fleet"))
    others = counted("Received SUBSCRIBE from kitchen", "\t# (QoS 0)", "Sending SUBACK to kitchen")
    assert seen(others) == {("kitchen", "subscribe"): (1, "#")}


def test_a_line_that_mosquitto_cut_off_is_counted():
    denials = counted("1: Denied PUBLISH from kitchen (d0, q1, r0, m1, 'roomtone/" + "x" * 500)
    assert seen(denials)["kitchen", "publish"][0] == 1


def test_many_clients_with_hostile_ids_take_bounded_memory_and_a_file_that_can_be_read(tmp_path):
    denials = Denials()
    hostile = "\x1b[2J<script>\u202e\U0001f600" + "\u00e9" * 500
    for n in range(10 * MAX_DENIALS):
        denials.add(f"1: Denied PUBLISH from {n}{hostile} (d0, q1, r0, m1, '\x07{hostile}")
    report = denials.report()
    assert (len(report.denials), report.total) == (MAX_DENIALS, 10 * MAX_DENIALS)
    assert all((one.client + one.topic).isprintable() for one in report.denials)
    assert max(len(one.client) for one in report.denials) == MAX_CLIENT
    assert max(len(one.topic) for one in report.denials) == MAX_TOPIC
    file = tmp_path / "denials.json"
    denials.save(file)
    assert file.stat().st_size < MAX_FILE
    assert read(file) == report


def test_the_file_is_written_where_something_was_counted_and_not_at_every_line(tmp_path):
    file = tmp_path / "denials.json"
    denials = Denials()
    denials.save(file)
    assert read(file).denials == []
    denials.add("1: Client attic disconnected, not authorised.")
    denials.save(file)
    assert read(file).denials == [], "the last version is younger than two seconds"


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"since": 1, "total": 0, "denials": [{}]}'])
def test_a_file_that_is_missing_or_damaged_is_not_known(tmp_path, content):
    file = tmp_path / "denials.json"
    if content is not None:
        file.write_bytes(content)
    assert read(file) is None


def test_people_see_the_lines_that_the_configuration_asks_for(capsys):
    follow(io.BytesIO(SESSION.encode()), denials := Denials())
    printed = capsys.readouterr().err.splitlines()
    assert denials.report().total == 8
    assert len(printed) == 10, printed
    assert not [line for line in printed if "PUBLISH" in line or "Sending" in line or "\t" in line]


def test_debugging_lines_are_not_passed_on(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    lines = [
        "1: Error in epoll re-registering to EPOLLOUT: Bad file descriptor",
        "1: Received PINGREQ from kitchen",
        "1: Error in epoll waiting: Bad file descriptor.",
        "1: Error: Unable to open CRL file.",
    ]
    follow([f"{line}\n".encode() for line in lines], Denials())
    assert said.getvalue().splitlines() == lines[2:]
