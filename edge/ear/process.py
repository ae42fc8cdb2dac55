"""The ear as a whole: threads, states, signals, and the ways in which it ends.

Three threads: `capture` takes sound, `uplink` talks to the link, and the main thread does everything between. Each way
of ending has its own status, so that the journal tells a hung microphone from a broken model.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from edge.audio.vad import Vad
from edge.config.settings import Config
from edge.ear import state_dir as state
from edge.ear.baseline_store import Adaptation
from edge.ear.capture.source import AudioSource, Block
from edge.ear.capture.thread import Capture, Notice
from edge.ear.liveness import Liveness
from edge.ear.model_selection import Loaded, Models
from edge.ear.mute import button, requests
from edge.ear.mute.requests import Mute
from edge.ear.pipeline import Pipeline
from edge.ear.uplink.client import Uplink
from edge.inference import pace
from edge.inference.classifier import Classifier
from edge.protocol import messages
from edge.protocol.messages import (
    EarCommand,
    EarHealth,
    MicState,
    ModelInfo,
    ReloadModel,
    Restart,
    Unmute,
)
from edge.util.errors import UserError
from edge.util.notify import notify, watchdog_interval_s
from edge.util.process_stats import rss_mb, seconds_since_start
from edge.util.restarts import Restarts
from edge.util.version import VERSION

log = logging.getLogger(__name__)

EXIT_FAILED: Final = 70
"""The model does not give what it should, or a thread died (EX_SOFTWARE)."""
EXIT_HUNG: Final = 74
"""A read or an open of the microphone does not return (EX_IOERR)."""
EXIT_RESTART: Final = 75
"""Asked to restart (EX_TEMPFAIL)."""
IDLE_BLOCKS: Final = 4
"""Blocks (of 32 ms) that are taken at once while nobody speaks."""
HEALTH_PERIOD_S: Final = 60.0
DRAIN_PATIENCE_S: Final = 10.0
"""At the end of a playback: how long without an acknowledgement until the rest is given up."""
SLOW_S: Final = 0.05
"""CPU time of an inference from which it is compared, once, with what the box can do."""


class Ear:
    """Runs until it is told to stop, or until a playback that does not loop has ended."""

    def __init__(
        self,
        *,
        config: Config,
        source: AudioSource,
        vad: Vad,
        classifier: Classifier,
        on_ready: Callable[[float], None],
        stopped: threading.Event,
        adaptation: Adaptation | None = None,
        restarts: Restarts | None = None,
        models: Models | None = None,
        on_probation: bool = False,
    ) -> None:
        self._config = config
        self._models = models
        self._on_probation = on_probation
        self._stopped = stopped
        self._restarts = restarts or Restarts(None)
        self._classifier = classifier
        self._on_ready = on_ready
        self._ready = False
        self._settled = False
        self._paced = False
        self._vad = vad
        self._capture = Capture(source, stopped)
        self._adaptation = adaptation
        self._mute = Mute(state.folder(config), config.audio.quiet_hours)
        self._wishes: list[str] = []
        self._button = button.attach(config.button, self._mute)
        self._pipeline = Pipeline(config, vad, classifier, classifier.bundle.full_name, adaptation)
        self._info = model_info(config, classifier, vad)
        self._uplink = Uplink(config.runtime.socket, self._info, self._pipeline.level, self._obey)
        now = time.monotonic()
        speed = config.audio.speed if config.audio.source == "playback" else 1.0
        self._liveness = Liveness(self._changed, now, speed)
        self._watchdog_s = watchdog_interval_s()
        self._watchdog_due = now
        self._health_due = now + HEALTH_PERIOD_S
        self._status = 0

    def run(self) -> int:
        """The main loop; returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._self_test()
        self._follow_wishes()
        self._uplink.start()
        self._capture.start()
        try:
            while not self._stopped.is_set():
                # Only the end of speech is awaited by somebody; its beginning may be seen a little later.
                hurry = self._pipeline.speaking or not self._ready
                ended = self._take(self._capture.get(timeout_s=1.0, at_least=1 if hurry else IDLE_BLOCKS))
                self._look_around()
                if ended:
                    break
            return self._status
        finally:
            self._finish()

    def _on_signal(self, number: int, _frame: object) -> None:
        # Nothing else is safe here: the main loop sees it within a second, or with the next block.
        self._stopped.set()

    def _take(self, items: list[Block | Notice]) -> bool:
        """Works through what has happened; True when nothing more will come."""
        for item in items:
            if isinstance(item, Block):
                self._hear(item)
            elif self._note(item):
                return True
            if self._stopped.is_set():
                break
        return False

    def _hear(self, block: Block) -> None:
        for event in self._pipeline.feed(block):
            log.debug("utterance %d: %s %.2f", event.seq, event.event_type, event.confidence)
            self._uplink.publish(event)
            if self._on_probation:
                self._tell_tally()
            self._tell_manager()
        self._liveness.heard(time.monotonic(), zeros=not block.samples.any())
        if not self._ready and self._liveness.state == "ok":
            self._ready = True
            seconds = seconds_since_start()
            log.info(
                "ready after %.2f s (model %s, vad %s, %.0f MB)",
                seconds, self._classifier.bundle.full_name, self._vad.engine, rss_mb(),
            )  # fmt: skip
            self._on_ready(seconds)

    def _note(self, notice: Notice) -> bool:
        """Follows what the capture thread tells; True when it was the last thing to come."""
        now = time.monotonic()
        match notice.kind:
            case "opened":
                log.info("listening: %s", notice.text)
                self._liveness.opened(now)
                self._info = msgspec.structs.replace(self._info, mic=self._capture.format)
                self._uplink.set_info(self._info)
            case "turn":
                self._liveness.turned(now)
            case "lost":
                self._gap()
                self._liveness.lost(now, notice.text)
            case "muted":
                self._gap()
                self._liveness.muted(now)
            case "ended":
                self._gap()
                if not self._uplink.drain(DRAIN_PATIENCE_S):
                    log.warning("%d events were not acknowledged by a link", self._uplink.waiting)
                log.info("the room has ended after %d utterances", self._pipeline.utterances)
                return True
            case "failed":
                self._status = EXIT_FAILED
                return True
        return False

    def _gap(self) -> None:
        """What was being said ends here; what comes next has nothing to do with it."""
        for event in self._pipeline.finish():
            self._uplink.publish(event)

    def _look_around(self) -> None:
        """Everything that has its own time."""
        now = time.monotonic()
        hung = self._capture.hangs()
        if hung is not None:
            # The thread cannot be saved, and it holds the device: only the end of the process frees it.
            log.error("the microphone hangs in `%s`: ending the process, so that it is started anew", hung)
            notify("STATUS=the microphone hangs")
            logging.shutdown()
            os._exit(EXIT_HUNG)
        if self._liveness.self_test_due(now, speaking=self._pipeline.speaking):
            try:
                self._self_test()
            except UserError as error:
                log.error("the model no longer gives what it should: %s", error)
                self._status = EXIT_FAILED
                self._stopped.set()
        if now >= self._watchdog_due and self._watchdog_s is not None and self._liveness.alive(now):
            self._watchdog_due = now + self._watchdog_s
            notify("WATCHDOG=1")
        if self._adaptation is not None:
            self._adaptation.look()
        self._restarts.alive()
        self._follow_wishes()
        if self._models is not None and not self._pipeline.speaking:
            self._swap(self._models.look())
        if now >= self._health_due:
            self._health_due = now + HEALTH_PERIOD_S
            self._uplink.set_health(self._health())
            self._tell_tally()

    def _swap(self, new: Loaded | None) -> None:
        """Another model from the next utterance on. Nobody speaks now, so none is lost and none is heard by two."""
        if new is None:
            return
        self._tell_tally()
        if self._adaptation is not None:
            self._adaptation.close()
        self._classifier, self._adaptation = new.classifier, new.adaptation
        self._on_probation = new.chosen.on_probation
        self._pipeline.swap(new.classifier, new.classifier.bundle.full_name, new.adaptation)
        self._liveness.self_tested(time.monotonic())
        info = model_info(self._config, new.classifier, self._vad)
        self._info = msgspec.structs.replace(info, mic=self._info.mic)
        self._uplink.set_info(self._info)
        # The link measures from here how the memory grows.
        self._health_due = time.monotonic()
        how = ", on probation" if self._on_probation else ""
        log.info("the model is %s now%s", new.classifier.bundle.full_name, how)

    def _tell_tally(self) -> None:
        self._uplink.tell_tally(self._pipeline.tally.report(self._classifier.bundle.sha256))

    def _follow_wishes(self) -> None:
        """Closes the microphone while anybody wants it closed; whoever wishes need not ask the ear."""
        wishes = self._mute.wishes()
        if wishes != self._wishes:
            log.info("mute: %s", ", ".join(wishes) or "nobody wants it any more")
            self._wishes = wishes
            self._capture.set_muted(bool(wishes))

    def _self_test(self) -> None:
        """Golden inference. Raises `UserError` when the model does not give what it should."""
        begun = time.thread_time()
        inferences = self._classifier.self_test()
        seconds = (time.thread_time() - begun) / inferences
        if not self._paced and (seconds > SLOW_S or not os.access(pace.CPUINFO, os.R_OK)):
            self._paced = True
            found = pace.measure(seconds)
            if found.slow:
                log.warning("the golden self-inference takes %.2f s of CPU time: %s", seconds, found.why)
        self._liveness.self_tested(time.monotonic())

    def _changed(self, state: MicState) -> None:
        # Here first: who hears of the state by MQTT and then looks on the box must not find the old one.
        requests.tell(state)
        self._uplink.set_mic(state)
        self._button.light(state == "ok")
        self._tell_manager()
        if not self._settled:
            # A missing microphone is a state, not a failed start.
            self._settled = True
            notify("READY=1")

    def _tell_manager(self) -> None:
        notify(f"STATUS=microphone: {self._liveness.state}, {self._pipeline.utterances} utterances")

    def _obey(self, order: EarCommand) -> None:
        """Called by the uplink's thread."""
        match order:
            case messages.Mute():
                self._mute.set_remote(True)
            case Unmute():
                self._mute.set_remote(False)
            case ReloadModel():
                if self._models is not None:
                    self._models.wish()
            case Restart():
                log.info("the link asks for a restart")
                self._status = EXIT_RESTART
                self._stopped.set()

    def _health(self) -> EarHealth:
        return EarHealth(
            frames=self._pipeline.frames,
            overruns=self._capture.overruns,
            utterances=self._pipeline.utterances,
            inference_p50_ms=self._pipeline.latency_ms(0.5),
            inference_p95_ms=self._pipeline.latency_ms(0.95),
            rss_mb=round(rss_mb(), 1),
            dropped=self._uplink.dropped,
            baseline_utterances=self._adaptation.room.heard if self._adaptation is not None else None,
        )

    def _finish(self) -> None:
        notify("STOPPING=1")
        self._stopped.set()
        if self._adaptation is not None:
            self._adaptation.close()
        if self._status != EXIT_FAILED:
            self._restarts.clear()
            if self._models is not None:
                self._models.lasted()
        self._button.close()
        clean = self._capture.join(timeout_s=3.0)
        self._uplink.stop()
        if not clean:
            log.error("the microphone does not close: ending the process")
            logging.shutdown()
            os._exit(EXIT_HUNG)


def model_info(config: Config, classifier: Classifier, vad: Vad) -> ModelInfo:
    """What the link is told about this ear."""
    manifest = classifier.bundle.manifest
    return ModelInfo(
        model=classifier.bundle.full_name,
        model_sha256=classifier.bundle.sha256,
        feature_spec_sha256=manifest.features_sha256,
        runtime=classifier.runtime,
        vad=vad.engine,
        ear_version=VERSION,
        config_sha256=config.sha256(),
    )
