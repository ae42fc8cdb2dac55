"""The ear process: its main loop, signals, watchdog and exit statuses.

Three threads: `capture` reads the audio source, `uplink` sends messages to the link, and the main thread does the rest.
Each way of ending has its own exit status, so that the journal tells a stuck microphone from a broken model.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from edge import protocol
from edge.audio.vad import Vad
from edge.config.settings import Config
from edge.ear import state_dir as state
from edge.ear.capture.source import AudioSource, Block
from edge.ear.capture.thread import Capture, Notice
from edge.ear.info import ear_health, ear_info
from edge.ear.microphone_state import MicrophoneState
from edge.ear.model_selection import LoadedModel, ModelSelector
from edge.ear.mute import button
from edge.ear.mute.mute_state import MuteState, write_mic_state
from edge.ear.pipeline import Pipeline
from edge.ear.signal_check import SignalCheck
from edge.ear.speed_check import SpeedCheck, timed_self_test
from edge.ear.uplink.client import Uplink
from edge.ear.uplink.counter import UtteranceCounter
from edge.ear.watchdog import Watchdog
from edge.inference.memory_pages import MemoryReleaser
from edge.protocol import (
    EarCommand,
    EarHealth,
    MicState,
    MutedBy,
    ReloadModel,
    Restart,
    Unmute,
)
from edge.util.errors import UserError
from edge.util.notify import is_supervised, notify, watchdog_interval_s
from edge.util.process_stats import rss_mb_or_zero, seconds_since_start
from edge.util.service.restarts import Restarts
from edge.util.service.stop_signals import call_on_signals

log = logging.getLogger(__name__)

EXIT_FAILED: Final = 70
"""The model fails its self-test, or a thread died (EX_SOFTWARE)."""
EXIT_HUNG: Final = 74
"""Opening or reading the microphone does not return (EX_IOERR)."""
EXIT_RESTART: Final = 75
"""Asked to restart (EX_TEMPFAIL)."""
MOST_BLOCKS: Final = 16
"""Blocks that are filtered together: after a backlog, an utterance that has ended is not delayed by what came later."""
IDLE_BLOCKS: Final = 16
"""Blocks (of 32 ms) that are processed together while there is no speech: each wake-up finds the caches cold."""
HEALTH_PERIOD_S: Final = 60.0
SELF_TEST_PASSED: Final = "self-test passed, %.3f s of the CPU"
"""Logged after each periodic self-test, for `./run bench arm`, too, which counts silence without one."""
DRAIN_TIMEOUT_S: Final = 10.0
"""At the end of a playback: seconds without an acknowledgement after which the remaining events are given up."""


class Ear:
    """Main loop of the ear: captures audio, finds utterances, classifies them and sends the results to the link.

    Ends when `stopped` is set, or at the end of a playback that does not loop."""

    def __init__(
        self,
        *,
        config: Config,
        source: AudioSource,
        vad: Vad,
        models: ModelSelector,
        first: LoadedModel,
        on_ready: Callable[[float], None],
        stopped: threading.Event,
        restarts: Restarts,
    ) -> None:
        self._config = config
        self._models = models
        self._on_probation = first.chosen.on_probation
        self._stopped = stopped
        self._restarts = restarts
        self._classifier = classifier = first.classifier
        self._on_ready = on_ready
        self._ready = False
        self._memory = MemoryReleaser()
        self._notified_ready = False
        self._speed = SpeedCheck()
        self._turns = itertools.count()
        self._vad = vad
        self._capture = Capture(source, stopped)
        self._baseline_store = first.adaptation
        self._mute = MuteState(state.folder(config), config.audio.quiet_hours)
        self._muted_by: tuple[MutedBy, ...] = ()
        self._button = button.attach(config.button, self._mute)
        self._pipeline = Pipeline(config, vad, classifier, classifier.bundle.full_name, first.adaptation)
        self._info = ear_info(config, classifier, vad)
        now = time.monotonic()
        speed = config.audio.real_speed
        self._uplink = Uplink(
            config.runtime.socket,
            self._info,
            self._pipeline.level,
            self._handle_command,
            counter=UtteranceCounter(state.counter_path(config)),
            speed=speed,
        )
        self._signal_check = SignalCheck()
        self._watchdog = Watchdog(now, speed, watchdog_interval_s())
        self._microphone = MicrophoneState(self._on_mic_state, self._watchdog, now)
        self._health_due = now + HEALTH_PERIOD_S
        self._status = 0
        self._on_self_test(first.inference_s)

    def run(self) -> int:
        """Run the main loop; returns the exit status."""
        call_on_signals(self._stopped.set)
        self._apply_mute()
        self._uplink.start()
        self._capture.start()
        try:
            while not self._stopped.is_set():
                # Only the end of speech is urgent; its beginning may be noticed a little later.
                urgent = self._pipeline.speaking or not self._ready
                ended = self._process_items(
                    self._capture.get(timeout_s=1.0, at_least=1 if urgent else IDLE_BLOCKS)
                )
                self._run_periodic_tasks()
                if ended:
                    break
            return self._status
        finally:
            self._finish()

    def _process_items(self, items: list[Block | Notice]) -> bool:
        """Process blocks and notices in order; True when there will be no more."""
        for is_block, group in itertools.groupby(items, lambda item: isinstance(item, Block)):
            if is_block:
                self._process_blocks([item for item in group if isinstance(item, Block)])
                continue
            for item in group:
                if isinstance(item, Notice) and self._handle_notice(item):
                    return True
        return False

    def _process_blocks(self, blocks: list[Block]) -> None:
        """Process what has come since the last time: one block during speech, else several."""
        for at in range(0, len(blocks), MOST_BLOCKS):
            if not self._stopped.is_set():
                self._process_some(blocks[at : at + MOST_BLOCKS])

    def _process_some(self, blocks: list[Block]) -> None:
        for values in self._pipeline.feed(blocks):
            log.debug("utterance %d: %s", self._pipeline.utterances, values.event_type)
            self._uplink.publish(values)
            if self._on_probation:
                self._report_prediction_counts()
            self._notify_status()
        self._uplink.set_speaking(self._pipeline.speaking)
        for fault in self._signal_check.faults([block.samples for block in blocks]):
            self._microphone.on_block(time.monotonic(), fault=fault)
        if not self._ready and self._microphone.state == "ok":
            self._ready = True
            seconds, bundle = seconds_since_start(), self._classifier.bundle
            log.info(
                "[ready] ready after %.2f s (model %s in %s, vad %s, %.0f MB)",
                seconds, bundle.full_name, bundle.path, self._vad.engine, rss_mb_or_zero(),
            )  # fmt: skip
            self._on_ready(seconds)

    def _handle_notice(self, notice: Notice) -> bool:
        """Handle a notice of the capture thread; True when it was the last one."""
        now = time.monotonic()
        match notice.kind:
            case "opened":
                log.info("[listening] listening: %s", notice.text)
                self._microphone.on_opened(now)
                self._info = msgspec.structs.replace(self._info, mic=self._capture.format)
                self._uplink.set_info(self._info)
            case "heartbeat":
                self._watchdog.on_heartbeat(now)
            case "lost":
                self._close_utterance()
                self._microphone.on_lost(now, notice.text)
            case "muted":
                self._close_utterance()
                self._microphone.on_muted(now)
            case "ended":
                self._close_utterance()
                if not self._uplink.drain(DRAIN_TIMEOUT_S):
                    log.warning(
                        "[unacknowledged] %d utterances were not acknowledged by the link",
                        self._uplink.waiting,
                    )
                log.info("[playback_ended] playback ended after %d utterances", self._pipeline.utterances)
                return True
            case "failed":
                self._status = EXIT_FAILED
                return True
        return False

    def _close_utterance(self) -> None:
        """End an open utterance at a gap in the sound."""
        for values in self._pipeline.finish():
            self._uplink.publish(values)
        self._uplink.set_speaking(False)

    def _run_periodic_tasks(self) -> None:
        """Run everything that is due: watchdog, self-test, baseline, mute, model, health."""
        now = time.monotonic()
        stuck = self._capture.stuck_call()
        if stuck is not None:
            # The thread cannot be ended, and it holds the device: only the end of the process releases it.
            log.error(
                "[microphone_hangs] the microphone does not respond (`%s`): ending the process for a restart",
                stuck,
            )
            notify("STATUS=the microphone does not respond")
            logging.shutdown()
            os._exit(EXIT_HUNG)
        if self._watchdog.self_test_due(now, speaking=self._pipeline.speaking):
            try:
                self._self_test()
            except UserError as error:
                log.error("[self_test_failed] the self-test of the model failed: %s", error)
                self._status = EXIT_FAILED
                self._stopped.set()
        self._watchdog.poll(now, self._microphone.state)
        if self._baseline_store is not None:
            self._baseline_store.poll()
        self._restarts.alive()
        self._apply_mute()
        if not self._pipeline.speaking:
            self._activate_model(self._models.poll())
            if self._notified_ready:
                self._speed.run()
                self._memory.run(self._pipeline.utterances)
        if now >= self._health_due:
            self._health_due = now + HEALTH_PERIOD_S
            self._uplink.set_health(self._health())
            self._report_prediction_counts()

    def _activate_model(self, new: LoadedModel | None) -> None:
        """Use another model from the next utterance on; called between utterances, so none is lost or split."""
        if new is None:
            return
        self._report_prediction_counts()
        if self._baseline_store is not None:
            self._baseline_store.close()
        self._classifier, self._baseline_store = new.classifier, new.adaptation
        self._on_probation = new.chosen.on_probation
        self._pipeline.set_model(new.classifier, new.classifier.bundle.full_name, new.adaptation)
        self._on_self_test(new.inference_s)
        info = ear_info(self._config, new.classifier, self._vad)
        self._info = msgspec.structs.replace(info, mic=self._info.mic)
        self._uplink.set_info(self._info)
        # The link measures memory growth from here on.
        self._health_due = time.monotonic()
        how = ", on probation" if self._on_probation else ""
        log.info("[model_changed] model: %s%s", new.classifier.bundle.full_name, how)

    def _report_prediction_counts(self) -> None:
        self._uplink.set_prediction_counts(
            self._pipeline.prediction_counts.report(self._classifier.bundle.sha256)
        )

    def _apply_mute(self) -> None:
        """Close the microphone while there is a reason to, and open it again afterwards."""
        muted_by = self._mute.muted_by()
        if muted_by != self._muted_by:
            log.info("[mute_changed] mute: %s", ", ".join(muted_by) or "off")
            self._muted_by = muted_by
            self._uplink.set_muted_by(muted_by)
            self._capture.set_muted(bool(muted_by))

    def _self_test(self) -> None:
        """Run the next golden input of the bundle. Raises `UserError` when the outputs differ."""
        seconds = timed_self_test(self._classifier, next(self._turns))
        log.debug(SELF_TEST_PASSED, seconds)
        self._on_self_test(seconds)

    def _on_self_test(self, seconds: float) -> None:
        """Note a passed self-test and the CPU seconds of its inferences."""
        self._speed.add(seconds)
        self._watchdog.on_self_test(time.monotonic())

    def _on_mic_state(self, state: MicState) -> None:
        # The file first: a reader who learns the state over MQTT must not find the old one on the device.
        write_mic_state(state)
        self._uplink.set_mic(state)
        self._button.light(state == "ok")
        self._notify_status()
        if not self._notified_ready:
            # Also without a microphone: that is a state, not a failed start.
            self._notified_ready = True
            notify("READY=1")

    def _notify_status(self) -> None:
        notify(f"STATUS=microphone: {self._microphone.described}, {self._pipeline.utterances} utterances")

    def _handle_command(self, command: EarCommand) -> None:
        """Handle a command of the link; called by the uplink's thread."""
        match command:
            case protocol.Mute():
                self._mute.set_remote(True)
            case Unmute():
                self._mute.set_remote(False)
            case ReloadModel():
                self._models.request_reload()
            case Restart() if is_supervised():
                log.info("[restart_requested] restart requested by the link")
                self._status = EXIT_RESTART
                self._stopped.set()
            case Restart():
                log.warning(
                    "[restart_refused] restart refused: no service manager would start this process again"
                )

    def _health(self) -> EarHealth:
        level = self._pipeline.level().dbfs if self._microphone.state == "ok" else None
        return ear_health(self._pipeline, self._capture, self._uplink, self._baseline_store, level)

    def _finish(self) -> None:
        notify("STOPPING=1")
        self._stopped.set()
        if self._baseline_store is not None:
            self._baseline_store.close()
        if self._status != EXIT_FAILED:
            self._restarts.clear()
            self._models.mark_stable()
        self._button.close()
        clean = self._capture.join(timeout_s=3.0)
        self._uplink.stop()
        if not clean:
            log.error("[microphone_not_closed] the microphone cannot be closed: ending the process")
            logging.shutdown()
            os._exit(EXIT_HUNG)
