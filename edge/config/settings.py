"""The settings of a device: every key with its type, bounds, default and documentation.

The string below a key is its documentation, in `roomtone.toml` (`edge.config.template`) and in docs/configuration.md
(`edge.config.reference`). `edge.config.load` reads the file.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from edge.protocol import NodeId
from edge.util.text.patterns import pattern

BaseTopic = Annotated[
    str,
    pattern(
        r"^[^#+/\x00][^#+\x00]{0,126}\Z",
        "a topic level or several, not empty, without `#` and `+`, and no slash at the beginning",
        max_length=128,
    ),
]
QuietHours = Annotated[
    str,
    pattern(
        r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d\Z", "a span of local time such as 22:00-07:00"
    ),
]
Port = Annotated[int, Meta(ge=1, le=65535)]
BrokerHost = Annotated[
    str,
    pattern(
        r"^[A-Za-z0-9._:%-]+\Z",
        "a host name or an address alone, without a port and without mqtt://",
        min_length=1,
        max_length=253,
    ),
]
HttpsUrl = Annotated[
    str, pattern(r"^https://[^\s]+\Z", "an address that begins with https://", max_length=1024)
]


RESERVED_IDS: Final = frozenset({"fleet"})
"""Node ids that no device may have: `B/fleet/announce` addresses all devices."""


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """The identity of this device."""

    id: NodeId = "room-1"
    """Stable id in every topic: a-z, 0-9, `_` and `-`."""
    name: Annotated[str, Meta(max_length=64)] = ""
    """Display name of the room; empty: the id."""
    base_topic: BaseTopic = "roomtone"
    """First level or levels of every topic."""


class Audio(Struct, frozen=True, forbid_unknown_fields=True):
    """The audio source."""

    source: Literal["microphone", "playback"] = "microphone"
    """A microphone, or the audio files of a folder (`playback_dir`)."""
    device: Annotated[str, Meta(max_length=200)] = ""
    """The microphone, as `roomtone devices` lists it; empty: the default of the system."""
    channel: Literal["mean", "loudest"] | Annotated[int, Meta(ge=1, le=64)] = "mean"
    """What is used of a microphone with several channels: the mean of those with sound, the loudest, or a number."""
    playback_dir: Annotated[str, Meta(max_length=4096)] = ""
    """Folder whose audio files are played one after another, for `source = "playback"`."""
    speed: Annotated[float, Meta(gt=0, le=100)] = 1.0
    """Speed of the playback; 1 is real time."""
    loop: bool = True
    """Whether the playback starts again at its end."""
    gap_s: Annotated[float, Meta(ge=0, le=60)] = 1.0
    """Seconds of silence between two files of the playback."""
    quiet_hours: Annotated[tuple[QuietHours, ...], Meta(max_length=16)] = ()
    """Spans of local time in which the microphone is closed, such as `22:00-07:00`."""

    @property
    def real_speed(self) -> float:
        """Seconds of sound in a second: 1 but for a faster or slower playback."""
        return self.speed if self.source == "playback" else 1.0


class Button(Struct, frozen=True, forbid_unknown_fields=True):
    """A push button that mutes and unmutes, at the GPIO pins of a Raspberry Pi; needs the extra `gpio`."""

    pin: Annotated[int, Meta(ge=0, le=27)] | None = None
    """GPIO number (BCM) of the button, which connects it to ground; not set: no button."""
    led: Annotated[int, Meta(ge=0, le=27)] | None = None
    """GPIO number (BCM) of a light that is on while the microphone is open; not set: no light."""


class Vad(Struct, frozen=True, forbid_unknown_fields=True):
    """Voice activity detection."""

    engine: Literal["silero", "webrtc"] = "silero"
    """Silero's neural network, or the simpler detector of WebRTC (extra `webrtc`)."""
    onset: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    """Speech probability of a block at which an utterance begins."""
    offset: Annotated[float, Meta(gt=0, lt=1)] = 0.15
    """Speech probability below which a block of an utterance counts as silence."""


class Segmenter(Struct, frozen=True, forbid_unknown_fields=True):
    """Segmentation of speech into utterances. All lengths in milliseconds."""

    min_speech_ms: Annotated[int, Meta(ge=32, le=5000)] = 256
    """Shorter speech is dropped."""
    pre_roll_ms: Annotated[int, Meta(ge=0, le=2000)] = 512
    """Length of the sound before the onset that belongs to the utterance; as much of the silence behind it, at most the
    hang-over."""
    hang_over_ms: Annotated[int, Meta(ge=32, le=5000)] = 480
    """Length of the silence that ends an utterance."""
    max_speech_ms: Annotated[int, Meta(ge=1000, le=60_000)] = 12_000
    """Longer speech is split here and continues as the next utterance."""


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """The emotion model."""

    bundle: Annotated[str, Meta(max_length=4096)] = "base"
    """Folder of a bundle, its full name (`base-0.1.0`) or its family (`base`: the newest version)."""
    abstain_below: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Confidence below which an utterance is `uncertain`; not set: the threshold of the bundle."""


class Baseline(Struct, frozen=True, forbid_unknown_fields=True):
    """The baseline: how this room usually sounds, a few numbers that are subtracted (docs/privacy.md)."""

    enabled: bool = True
    """Whether the device adapts to its room; off: nothing is kept, and a saved baseline is removed."""
    memory: Annotated[int, Meta(ge=100, le=1_000_000)] = 300
    """Number of utterances after which the weight of an utterance has decayed to a third."""


class Updates(Struct, frozen=True, forbid_unknown_fields=True):
    """Signed model releases (docs/updates.md). Without `url` and `root_file` nothing is ever downloaded."""

    url: Annotated[
        str,
        pattern(r"^(https://[^\s]+)?\Z", "an address that begins with https://, or empty", max_length=1024),
    ] = ""
    """Address of the repository at the hub, such as `https://hub.local/updates`."""
    root_file: Annotated[str, Meta(max_length=4096)] = ""
    """The first `root.json` of the site, which names the signing keys; only root may write it."""
    ca_file: Annotated[str, Meta(max_length=4096)] = ""
    """Certificate authority of the hub (PEM); empty: `mqtt.ca_file`, else the authorities of the system."""
    dir: Annotated[str, Meta(max_length=4096)] = ""
    """Folder of the releases; empty: /var/lib/roomtone/models, where that is missing `models` beside the socket."""
    channel: Literal["stable", "beta"] = "stable"
    """Release channel; `beta` includes the releases of `stable`."""
    pin: Annotated[str, pattern(r"^(\d{1,6}\.\d{1,6}\.\d{1,6})?\Z", "a version such as 0.3.0, or empty")] = ""
    """The only model version that may be installed, such as `0.3.0`; empty: any."""
    check_hours: Annotated[float, Meta(ge=0.001, le=168)] = 6.0
    """Hours between two checks for an update, varied by a tenth at random."""
    jitter_s: Annotated[float, Meta(ge=0, le=3600)] = 300.0
    """Longest random delay in seconds before a check after an announcement or a start, which spreads the load."""
    probation_minutes: Annotated[float, Meta(ge=0, le=1440)] = 10.0
    """Shortest probation of a new model in minutes."""
    probation_utterances: Annotated[int, Meta(ge=1, le=1000)] = 20
    """Number of utterances that a new model must classify before it is confirmed."""
    clock: Literal["checked", "trusted"] = "checked"
    """`checked`: downloads wait until a time service has set the clock. `trusted`: they do not, for containers, where
    the host keeps the clock and the kernel does not report it."""
    service_socket: Annotated[str, Meta(max_length=4096)] = "/run/roomtone/update.sock"
    """Socket of the update service, which alone writes the releases; where it is missing, a child process does."""
    validation_socket: Annotated[str, Meta(max_length=4096)] = "/run/roomtone/validation.sock"
    """Socket of the service that validates a new model; where it is missing, a child process does."""


class Mqtt(Struct, frozen=True, forbid_unknown_fields=True):
    """The connection to the MQTT broker."""

    host: BrokerHost = "127.0.0.1"
    """Host name or address of the broker."""
    more_hosts: Annotated[tuple[BrokerHost, ...], Meta(max_length=8)] = ()
    """Further nodes of the same broker cluster: when the connection fails or ends, the next one is tried."""
    port: Port | None = None
    """Port of the broker; not set: 1883, or 8883 with TLS."""
    username: Annotated[str, Meta(max_length=256)] = ""
    """User name; empty: the broker needs none, or identifies the device by its certificate."""
    password_file: Annotated[str, Meta(max_length=4096)] = ""
    """File whose first line is the password."""
    tls: bool = False
    """Whether the connection is encrypted and the broker's certificate is verified."""
    ca_file: Annotated[str, Meta(max_length=4096)] = ""
    """Certificate authority of the broker (PEM); empty: the authorities of the system."""
    cert_file: Annotated[str, Meta(max_length=4096)] = ""
    """Client certificate of this device (PEM), where the broker requires one."""
    key_file: Annotated[str, Meta(max_length=4096)] = ""
    """Private key of `cert_file`."""
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30
    """MQTT keep-alive interval in seconds."""
    version: Literal["auto", "5", "3.1.1"] = "auto"
    """Protocol version; `auto`: MQTT 5, and 3.1.1 where the broker refuses it."""


class State(Struct, frozen=True, forbid_unknown_fields=True):
    """The smoothed emotion of the room, for lamps, displays and automations."""

    half_life_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    """Seconds after which the weight of an utterance has halved."""
    retain: bool = False
    """Whether the broker retains the state for later subscribers."""


class HomeAssistant(Struct, frozen=True, forbid_unknown_fields=True):
    """MQTT discovery of Home Assistant."""

    discovery: bool = True
    """Whether the device announces itself."""
    prefix: BaseTopic = "homeassistant"
    """Discovery prefix of Home Assistant."""
    status_topic: BaseTopic = "homeassistant/status"
    """Topic on which Home Assistant publishes `online` when it has started (its birth message)."""


class Runtime(Struct, frozen=True, forbid_unknown_fields=True):
    """Processes, folders and logs."""

    socket: Annotated[str, Meta(min_length=1, max_length=4096)] = "/run/roomtone/link.sock"
    """Unix socket between ear and link."""
    state_dir: Annotated[str, Meta(max_length=4096)] = ""
    """Folder of undelivered events; empty: systemd's `STATE_DIRECTORY`, without it the folder of the socket."""
    ear_state_dir: Annotated[str, Meta(max_length=4096)] = ""
    """Folder of the ear's state (mute requests, baseline); empty: systemd's `STATE_DIRECTORY`, without it
    /run/roomtone/ear/state, and where that is missing the folder of the socket."""
    spool_days: Annotated[float, Meta(gt=0, le=365)] = 7.0
    """Days after which undelivered events are dropped."""
    spool_events: Annotated[int, Meta(ge=10, le=1_000_000)] = 10_000
    """Largest number of undelivered events; beyond it the oldest are dropped and counted."""
    metrics_port: Port | None = None
    """Port of the Prometheus metrics of the link, on the loopback interface only; not set: no metrics."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level of the messages in the log."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration."""

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
        """Hash of all settings, by which two devices can be compared; secrets are in files and not part of it."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()
