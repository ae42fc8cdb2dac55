"""What `roomtone doctor` checks at the broker: everything that the link asks of it, and what of that is refused."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge.config.settings import Config
from edge.doctor.check import Check
from edge.link.connection_options import client_options
from edge.link.delivery.publisher import announcement_of
from edge.mqtt import certificate, tls
from edge.mqtt.address import BrokerAddress, from_config
from edge.mqtt.events import Connected
from edge.mqtt.probe import Probe, handshake, probe
from edge.mqtt.reason_codes import Identity
from edge.mqtt.retained_probe import at_wildcards
from edge.mqtt.session import ClientOptions, Publish
from edge.protocol import AVAILABILITY, probe_topic, topic
from edge.util.errors import UserError

AS_ROOT: Final = "run it as root: sudo roomtone doctor"


def check_broker(config: Config, link_runs: bool) -> Check:
    """Check the broker as the link uses it; `link_runs`: a link of this configuration is connected already."""
    if hidden := _unreadable(config):
        return Check("broker", "fail", f"{hidden}: only root may read it", AS_ROOT)
    try:
        address = from_config(config)
        tls.check(address)
    except UserError as error:
        what, _, remedy = str(error).partition("; ")
        return Check("broker", "fail", what, remedy)
    checks = [_ask(config, node, link_runs) for node in address.nodes]
    failed = [check for check in checks if check.state == "fail"]
    if failed and len(failed) < len(checks):
        # The link goes on with the others.
        return replace(failed[0], state="warn")
    return failed[0] if failed else checks[0]


def _ask(config: Config, address: BrokerAddress, link_runs: bool) -> Check:
    if config.mqtt.cert_file and link_runs:
        # The name in the certificate is the client id: a second connection would end that of the link.
        refusal = handshake(address, client_options(config).client_id)
        if refusal is not None:
            return _failed([refusal.text])
        return _expiry(config) or Check(
            "broker", "ok", f"{address.place} answers, TLS, and takes our certificate"
        )
    found = _probe(config, address, link_runs)
    if complaints := list(_complaints(found)):
        return _failed(complaints)
    assert found.connected is not None
    if lacks := _lacks(config, address, found.connected):
        return _expiry(config) or Check("broker", "warn", lacks, "docs/brokers.md says what that means")
    secured = "TLS" if config.mqtt.tls else "without TLS"
    answers = f"{address.place} answers, MQTT {found.connected.version}, {secured}"
    return _expiry(config) or Check("broker", "ok", f"{answers}; takes last will, subscriptions and messages")


def _lacks(config: Config, address: BrokerAddress, connected: Connected) -> str:
    """Return what the broker says that it lacks, and what it does not say; empty where nothing is missing."""
    found, client_id = connected.capabilities, f"{client_options(config).client_id}-doctor"
    if config.mqtt.cert_file:
        # A site's broker lacks nothing, and a device has no right there to ask.
        return found.missing()
    below = probe_topic(config.node.base_topic, client_id)
    if found.retain and found.wildcard_subscriptions:
        asked = at_wildcards(Identity(address, client_id), connected.version, below)
        found = replace(found, retained_at_wildcards=asked is not False)
    if config.homeassistant.discovery:
        largest = Publish(1, f"{below}/size", announcement_of(config), qos=1, retain=False, expiry_s=None)
        if largest.packet_bytes <= found.max_packet_bytes:
            answer = probe(replace(address, version=connected.version), ClientOptions(client_id), [largest])
            if answer.closed or any(reason.code == "packet_too_large" for reason in answer.refused):
                found = replace(found, max_packet_bytes=largest.packet_bytes - 1)
    return found.missing()


def _failed(complaints: list[str]) -> Check:
    """A failed check: the first complaint with its remedy, and the others."""
    what, _, remedy = complaints[0].partition(": ")
    return Check("broker", "fail", "; ".join([what, *complaints[1:]]), remedy)


def _expiry(config: Config) -> Check | None:
    what, _, remedy = certificate.warning(config.mqtt.cert_file, time.time()).partition(": ")
    return Check("broker", "warn", what, remedy) if what else None


def _unreadable(config: Config) -> str:
    """Return a file of the connection that exists, or may, and that this user cannot read; empty: there is none."""
    mqtt = config.mqtt
    for name in (mqtt.password_file, mqtt.ca_file, mqtt.cert_file, mqtt.key_file):
        try:
            if name and Path(name).stat() and not os.access(name, os.R_OK):
                return name
        except PermissionError:
            return name
        except OSError:
            continue
    return ""


def _probe(config: Config, address: BrokerAddress, link_runs: bool) -> Probe:
    options = client_options(config)
    options = replace(options, client_id=f"{options.client_id}-doctor", session_expiry_s=0, unsubscribe=())
    # What the link itself publishes there, and is true now.
    online = topic(config.node.base_topic, config.node.id, AVAILABILITY)
    state = b"online" if link_runs else b"offline"
    return probe(address, options, [Publish(1, online, state, qos=1, retain=True, expiry_s=None)])


def _complaints(found: Probe) -> Iterator[str]:
    yield from (reason.text for reason in found.refused)
    if found.closed:
        yield "the broker closes the connection on what is subscribed or published"
    if found.unanswered:
        yield "the broker accepts the connection, and does not answer what is subscribed or published"
