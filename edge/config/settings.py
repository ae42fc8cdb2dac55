"""What can be configured: every key with its bounds and its default, which is a working one.

The words below a key stand in the file that the installer writes. How the file is read: `configfile`.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from edge.protocol.messages import NodeId

BaseTopic = Annotated[str, Meta(pattern=r"^[^#+/\x00][^#+\x00]{0,126}\Z", max_length=128)]
QuietHours = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d\Z")]
Port = Annotated[int, Meta(ge=1, le=65535)]


RESERVED_IDS: Final = frozenset({"fleet"})
"""No box may be called so: `B/fleet/announce` speaks to all boxes, and a box writes all that is below its own name."""


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """Who this box is."""

    id: NodeId = "room-1"
    """Stable name in every topic: a-z, 0-9, `_` and `-`."""
    name: Annotated[str, Meta(max_length=64)] = ""
    """What people call the room; empty: the id."""
    base_topic: BaseTopic = "roomtone"
    """What every topic begins with."""


class Audio(Struct, frozen=True, forbid_unknown_fields=True):
    """Where sound comes from."""

    source: Literal["microphone", "playback"] = "microphone"
    """A microphone, or the recordings of a folder (`playback_dir`)."""
    device: Annotated[str, Meta(max_length=200)] = ""
    """A microphone as `roomtone devices` names it; empty: the system's default."""
    playback_dir: Annotated[str, Meta(max_length=4096)] = ""
    """Folder of audio files that are played one after another, for `source = "playback"`."""
    speed: Annotated[float, Meta(gt=0, le=100)] = 1.0
    """How much faster than real time the playback runs."""
    loop: bool = True
    """Whether the playback begins again at its end."""
    gap_s: Annotated[float, Meta(ge=0, le=60)] = 1.0
    """Seconds of silence between the files of the playback."""
    quiet_hours: Annotated[tuple[QuietHours, ...], Meta(max_length=16)] = ()
    """Spans of local time such as `22:00-07:00` in which the microphone is closed."""


class Button(Struct, frozen=True, forbid_unknown_fields=True):
    """A push button that mutes and unmutes, at the pins of a Raspberry Pi; needs the extra `gpio`."""

    pin: Annotated[int, Meta(ge=0, le=27)] | None = None
    """GPIO number (BCM) of the button, which closes it to ground; not given: there is no button."""
    led: Annotated[int, Meta(ge=0, le=27)] | None = None
    """GPIO number (BCM) of a light that is on while the microphone is open."""


class Vad(Struct, frozen=True, forbid_unknown_fields=True):
    """Finding speech."""

    engine: Literal["silero", "webrtc"] = "silero"
    """A small neural network, or the plainer detector of WebRTC (extra `webrtc`)."""
    onset: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    """Probability above which a frame counts as speech while nobody speaks."""
    offset: Annotated[float, Meta(gt=0, lt=1)] = 0.35
    """Probability below which a frame counts as silence while somebody speaks."""


class Segmenter(Struct, frozen=True, forbid_unknown_fields=True):
    """From frames of speech to utterances. All lengths in milliseconds."""

    min_speech_ms: Annotated[int, Meta(ge=32, le=5000)] = 256
    """Shorter speech is not an utterance."""
    pre_roll_ms: Annotated[int, Meta(ge=0, le=2000)] = 192
    """What is kept from before the onset."""
    hang_over_ms: Annotated[int, Meta(ge=32, le=5000)] = 480
    """Silence that ends an utterance."""
    max_speech_ms: Annotated[int, Meta(ge=1000, le=60_000)] = 12_000
    """A longer speech is cut here and goes on as the next utterance."""


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """Understanding speech."""

    bundle: Annotated[str, Meta(max_length=4096)] = "base"
    """A bundle's folder, its full name (`base-0.1.0`) or its family (`base`: the newest version)."""
    abstain_below: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Below this confidence an utterance is `uncertain`; not given: the bundle's own threshold."""


class Baseline(Struct, frozen=True, forbid_unknown_fields=True):
    """Adaptation to the room: how it usually sounds, fourteen numbers, is subtracted (docs/privacy.md)."""

    enabled: bool = True
    """Off: nothing is kept, and what was kept is removed."""
    memory: Annotated[int, Meta(ge=100, le=1_000_000)] = 2000
    """Utterances after which the weight of an utterance has faded to a third."""


class Updates(Struct, frozen=True, forbid_unknown_fields=True):
    """Models that are pushed to this box (docs/updates.md). Without `url` and `root_file` nothing is ever fetched."""

    url: Annotated[str, Meta(max_length=1024, pattern=r"^(https://[^\s]+)?\Z")] = ""
    """Where the hub serves the repository, such as `https://hub.local/updates`."""
    root_file: Annotated[str, Meta(max_length=4096)] = ""
    """Who may sign: the first `root.json` of the site, which only root may write."""
    ca_file: Annotated[str, Meta(max_length=4096)] = ""
    """Who signed the hub's certificate; empty: as `mqtt.ca_file`, else the authorities of the system."""
    dir: Annotated[str, Meta(max_length=4096)] = ""
    """Where pushed models are kept; empty: /var/lib/roomtone/models, without that the folder `models` beside the
    socket."""
    channel: Literal["stable", "beta"] = "stable"
    """`beta` gets what is meant for `stable` too."""
    pin: Annotated[str, Meta(pattern=r"^(\d{1,6}\.\d{1,6}\.\d{1,6})?\Z")] = ""
    """A version of the model: no other one is ever installed."""
    check_hours: Annotated[float, Meta(ge=0.001, le=168)] = 6.0
    """How often the box looks by itself, jittered by a tenth."""
    jitter_s: Annotated[float, Meta(ge=0, le=3600)] = 300.0
    """After an announcement, and after a start, it looks within this time at random: a fleet must not come at once."""
    probation_minutes: Annotated[float, Meta(ge=0, le=1440)] = 10.0
    """How long a new model is on probation at least."""
    probation_utterances: Annotated[int, Meta(ge=1, le=1000)] = 20
    """How many utterances it has to have heard before it counts as good."""
    clock: Literal["checked", "trusted"] = "checked"
    """`checked`: nothing is fetched until a time service has set the clock. `trusted`: somebody else keeps it, such as
    the host of a container, where the kernel does not say so."""
    validation_socket: Annotated[str, Meta(max_length=100)] = "/run/roomtone/gate.sock"
    """Where the service that tries a model waits; where there is no such socket, a child process tries it."""


class Mqtt(Struct, frozen=True, forbid_unknown_fields=True):
    """The broker."""

    host: Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:%-]+\Z")] = "127.0.0.1"
    port: Port | None = None
    """Not given: 1883, or 8883 with TLS."""
    username: Annotated[str, Meta(max_length=256)] = ""
    """Empty: the broker asks for no name, or knows this device by its certificate."""
    password_file: Annotated[str, Meta(max_length=4096)] = ""
    """A file whose first line is the password; never the password itself."""
    tls: bool = False
    """Whether the connection is encrypted and the broker proves who it is."""
    ca_file: Annotated[str, Meta(max_length=4096)] = ""
    """Who signed the broker's certificate; empty: the authorities the system trusts."""
    cert_file: Annotated[str, Meta(max_length=4096)] = ""
    """This device's own certificate, where the broker wants one."""
    key_file: Annotated[str, Meta(max_length=4096)] = ""
    """The key of `cert_file`."""
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30
    """After so long a silence the broker is asked whether it is still there."""
    version: Literal["auto", "5", "3.1.1"] = "auto"
    """`auto`: MQTT 5, and 3.1.1 where the broker refuses it."""


class State(Struct, frozen=True, forbid_unknown_fields=True):
    """The smoothed emotion of the room, for lamps, displays and automations."""

    half_life_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    """After so long an utterance counts half."""
    retain: bool = False
    """Whether the broker keeps it for whoever comes later."""


class HomeAssistant(Struct, frozen=True, forbid_unknown_fields=True):
    """MQTT discovery."""

    discovery: bool = True
    """Whether the device announces itself."""
    prefix: BaseTopic = "homeassistant"
    """Where Home Assistant looks for announcements."""


class Runtime(Struct, frozen=True, forbid_unknown_fields=True):
    """Processes and logs."""

    socket: Annotated[str, Meta(min_length=1, max_length=100)] = "/run/roomtone/link.sock"
    """Where ear and link meet (AF_UNIX allows 107 bytes)."""
    state_dir: Annotated[str, Meta(max_length=4096)] = ""
    """Where events wait on disk; empty: systemd's `STATE_DIRECTORY`, without one the folder of the socket."""
    ear_state_dir: Annotated[str, Meta(max_length=4096)] = ""
    """Where the ear keeps what outlives it; empty: systemd's `STATE_DIRECTORY`, without one /var/lib/roomtone/ear, and
    where that does not exist the folder of the socket."""
    spool_days: Annotated[float, Meta(gt=0, le=365)] = 7.0
    """How long they wait at most."""
    spool_events: Annotated[int, Meta(ge=10, le=1_000_000)] = 10_000
    """How many events wait for a broker at most; then the oldest are dropped and counted."""
    metrics_port: Port | None = None
    """Where the link shows its health to Prometheus, on the loopback interface only; not given: nowhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is written to the journal."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    node: Node = field(default_factory=Node)
    audio: Audio = field(default_factory=Audio)
    button: Button = field(default_factory=Button)
    vad: Vad = field(default_factory=Vad)
    segmenter: Segmenter = field(default_factory=Segmenter)
    model: Model = field(default_factory=Model)
    baseline: Baseline = field(default_factory=Baseline)
    updates: Updates = field(default_factory=Updates)
    mqtt: Mqtt = field(default_factory=Mqtt)
    state: State = field(default_factory=State)
    homeassistant: HomeAssistant = field(default_factory=HomeAssistant)
    runtime: Runtime = field(default_factory=Runtime)

    def sha256(self) -> str:
        """Tells whether two boxes are configured alike; secrets are in files and not part of it."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()
