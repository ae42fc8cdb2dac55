"""Looks at the broker whether it does what its files say: an effect is seen, not assumed.

A broker that has loaded the current files

- shows the broker's certificate of the site,
- refuses a certificate that is issued and revoked in the current revocation list, because it is revoked,
- lets `fleet` subscribe to a topic that only the current rights name, and refuses it `#`.

The private keys of both certificates exist for the length of one command and never reach the site's folder.
"""

from __future__ import annotations

import queue
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edge.mqtt import tls
from edge.mqtt.address import BrokerAddress
from edge.mqtt.connection import Connection
from edge.mqtt.events import Acknowledged, Connected, Event, Subscribed
from edge.mqtt.reason_codes import FAILURE, Identity
from edge.mqtt.reconnect import Attempt, Ended
from edge.mqtt.session import ClientOptions, Publish, Subscription
from edge.util.errors import NotInForceError
from edge.util.text.text_file import read_text
from provisioning.fleet import authority
from provisioning.fleet.authority import now_utc
from provisioning.fleet.rights import EVERYTHING, FLEET_CLIENT, generation_topic
from provisioning.fleet.site import Site

TIMEOUT_S: Final = 10.0
"""How long a broker may take to restart."""
RETRY_S: Final = 0.1
ANSWER_S: Final = 5.0
REVOKED_CLIENT: Final = "fleet.revoked"
"""Name in the certificate that is revoked by every list."""
REVOKED_ALERT: Final = "CERTIFICATE_REVOKED"
_DAYS: Final = 1


class Prover:
    """Connects to the broker of a site. A context manager: the keys are removed at its end.

    `host`: where this machine reaches the broker, which may be a name that its certificate does not have: the
    certificate itself is compared instead.
    """

    def __init__(self, site: Site, host: str) -> None:
        self._site = site
        self._host = host
        self._folder = tempfile.TemporaryDirectory(prefix="roomtone-fleet-")
        self._held: _Session | None = None

    def __enter__(self) -> Prover:
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            self._held.close()
        self._folder.cleanup()

    def hold(self) -> bool:
        """Open a connection with the certificate that the next list revokes; return whether the broker took it."""
        self._held = self._connect(REVOKED_CLIENT)
        if self._held.wait(Connected, ANSWER_S) is None:
            self._held.close()
            self._held = None
        return self._held is not None

    def wait(self, timeout_s: float) -> float:
        """Wait until everything is in force; return the seconds. Raises `NotInForceError` with what is not."""
        began = time.monotonic()
        while True:
            missing = self.missing()
            if not missing:
                return time.monotonic() - began
            if time.monotonic() - began >= timeout_s:
                raise NotInForceError(f"NOT IN FORCE: {missing}")
            time.sleep(RETRY_S)

    def missing(self) -> str:
        """Return the first thing that is not in force, in words; empty when all is."""
        try:
            return (
                self._wrong_certificate() or self._not_revoked() or self._still_open() or self._old_rights()
            )
        except (OSError, ValueError) as error:
            return f"the broker at {self._address(FLEET_CLIENT).place} cannot be reached ({error})"

    def _wrong_certificate(self) -> str:
        """Whether another broker, or this one with an old certificate, answers."""
        address = self._address(FLEET_CLIENT)
        context = tls.context(address)
        assert context is not None
        with (
            socket.create_connection((address.host, address.port), ANSWER_S) as plain,
            context.wrap_socket(plain) as channel,
        ):
            shown = ssl.DER_cert_to_PEM_cert(channel.getpeercert(binary_form=True) or b"")
        own = read_text(self._site.folder / "broker" / "broker.crt")
        return "" if shown.strip() == own.strip() else f"{address.place} shows another certificate"

    def _not_revoked(self) -> str:
        address = self._address(REVOKED_CLIENT)
        try:
            waits = tls.broker_waits(address)
        except ssl.SSLError as error:
            if REVOKED_ALERT in str(error):
                return ""
            return f"the broker refuses a revoked certificate for another reason ({error.reason})"
        return "the broker accepts a certificate that is revoked" if waits else "the broker is not ready"

    def _still_open(self) -> str:
        if self._held is None or self._held.ended.is_set():
            return ""
        return "a connection with a revoked certificate is still open"

    def _old_rights(self) -> str:
        base, generation = self._site.settings.base_topic, self._site.settings.probe.generation
        own = generation_topic(base, generation)
        with self._connect(FLEET_CLIENT, own, EVERYTHING) as session:
            found = session.wait(Subscribed, ANSWER_S)
        refused = {topic for topic, _ in found.refused} if isinstance(found, Subscribed) else None
        if refused is None:
            return "the broker does not answer a subscription"
        if own in refused:
            return "the broker has not loaded the current rights"
        return "" if EVERYTHING in refused else "the broker grants a subscription to everything"

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Publish retained messages as `fleet`. Raises `NotInForceError` for one that the broker does not take."""
        with self._connect(FLEET_CLIENT) as session:
            if session.wait(Connected, ANSWER_S) is None:
                raise NotInForceError("NOT IN FORCE: the broker does not take announcements")
            for number, (topic, payload) in enumerate(messages):
                session.publish(Publish(number, topic, payload, 1, True, None))
                answer = session.wait(Acknowledged, ANSWER_S)
                if not isinstance(answer, Acknowledged) or answer.code >= FAILURE:
                    raise NotInForceError(f"NOT IN FORCE: the broker does not take {topic}")

    def _connect(self, name: str, *topics: str) -> _Session:
        subscriptions = tuple(Subscription(topic) for topic in topics)
        options = ClientOptions(name, subscriptions)
        return _Session(Identity(self._address(name), name), options)

    def _address(self, name: str) -> BrokerAddress:
        """Return the broker with a certificate for `name`, made when it is first needed."""
        folder = Path(self._folder.name) / name
        files = [folder / part for part in ("ca.crt", "client.crt", "client.key")]
        if not folder.exists():
            folder.mkdir(mode=0o700)
            key = authority.new_key()
            serial = int(self._site.settings.probe.serial, 16) if name == REVOKED_CLIENT else None
            issued = self._site.authority.issue_client(
                name, "fleet", key.public_key(), now_utc(), _DAYS, serial=serial
            )
            texts = authority.cert_pem(self._site.authority.certificate), authority.cert_pem(issued)
            for file, text in zip(files, (*texts, authority.key_pem(key)), strict=True):
                file.touch(mode=0o600)
                file.write_text(text, encoding="ascii")
        ca, certificate, secret = map(str, files)
        return BrokerAddress(
            self._host, self._site.settings.port, tls=True, ca_file=ca, cert_file=certificate, key_file=secret,
            check_name=False, version="5",
        )  # fmt: skip


class _Session:
    """One connection in a thread of its own."""

    def __init__(self, who: Identity, options: ClientOptions) -> None:
        self._events: queue.SimpleQueue[Event | Ended] = queue.SimpleQueue()
        self._connection = Connection(who, options, Attempt(), self._events.put)
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self, kind: type[Event], timeout_s: float) -> Event | None:
        """Return the next event of this kind; None when the connection ends before, or nothing comes in time."""
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(event, Ended):
                break
            if isinstance(event, kind):
                return event
        return None

    def publish(self, message: Publish) -> None:
        self._connection.publish(message)

    def close(self) -> None:
        self._connection.close()
        self._thread.join(ANSWER_S)

    def _run(self) -> None:
        ended = self._connection.run()
        self.ended.set()
        self._events.put(ended)
