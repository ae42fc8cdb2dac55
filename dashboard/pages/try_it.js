// Try it: records or takes a file, and shows the classification.

import { Capture, EMOTIONS, Glyph, text } from "roomtone";
import { percent, seconds } from "roomtone/times.js";

const LONGEST_S = 15;
const MAX_BYTES = 8 << 20;

export default {
  components: { Glyph },
  setup: () => ({ text, percent, seconds, labels: EMOTIONS.filter((e) => e !== "uncertain") }),
  data: () => ({ state: "idle", level: 0, elapsed: 0, answer: null, error: "", over: false }),
  computed: {
    able() {
      return !!(window.isSecureContext && navigator.mediaDevices && window.AudioWorkletNode);
    },
    hint() {
      if (!this.able) return text.try_insecure;
      return { idle: text.try_press, asking: text.try_asking, recording: text.try_recording(seconds(1000 * this.elapsed)), thinking: text.try_thinking }[this.state];
    },
    sorted() {
      return this.answer ? [...this.labels].sort((a, b) => this.answer.probabilities[b] - this.answer.probabilities[a]) : [];
    },
    certainty() {
      const { event_type, confidence } = this.answer;
      return event_type === "uncertain" ? text.maybe(text[this.sorted[0]], percent(confidence)) : text.sure(percent(confidence));
    },
  },
  unmounted() {
    if (this.capture) this.capture.stop();
  },
  methods: {
    async press() {
      if (this.state === "recording") return this.finish();
      if (this.state !== "idle") return;
      this.error = "";
      this.state = "asking";
      const capture = new Capture((peak) => {
        this.level = peak;
        this.elapsed = capture.seconds;
        if (this.elapsed >= LONGEST_S && this.state === "recording") this.finish();
      });
      this.capture = capture;
      try {
        await capture.start();
        this.state = "recording";
      } catch (error) {
        await capture.stop();
        this.state = "idle";
        this.error = { NotAllowedError: text.try_denied, NotFoundError: text.try_none }[error.name] || `${text.try_failed} (${error.message})`;
      }
    },
    async finish() {
      this.state = "thinking";
      const sound = await this.capture.stop();
      this.capture = null;
      this.level = 0;
      await this.send(sound);
    },
    drop(event) {
      this.over = false;
      this.choose(event.dataTransfer.files);
    },
    async choose(files) {
      if (!files.length || this.state !== "idle") return;
      this.state = "thinking";
      await this.send(files[0]);
    },
    async send(sound) {
      this.error = "";
      this.answer = null;
      try {
        if (sound.size > MAX_BYTES) throw new Error(text.try_large);
        const reply = await fetch(`${window.path_prefix || ""}/api/try`, { method: "POST", body: sound, headers: { "X-Roomtone": "try", "Content-Type": "application/octet-stream" } });
        const answer = await reply.json();
        if (answer.error) throw new Error(answer.error);
        this.answer = answer;
      } catch (error) {
        this.error = `${text.try_failed}: ${error.message}`;
      }
      this.state = "idle";
    },
  },
  template: `
    <div class="rt-board rt-try">
      <div class="rt-top"><h1 class="rt-title">{{ text.try_title }}</h1></div>
      <section class="rt-card rt-say" :class="{ 'is-over': over }" @dragover.prevent="over = true" @dragleave="over = false" @drop.prevent="drop">
        <button type="button" class="rt-record" :class="'is-' + state" :disabled="!able || state === 'thinking' || state === 'asking'" :aria-pressed="state === 'recording' ? 'true' : 'false'" @click="press">
          <span class="rt-ring" :style="{ transform: 'scale(' + (1 + 0.5 * Math.min(1, level * 2)) + ')' }"></span>
          <svg viewBox="0 0 24 24" aria-hidden="true"><path v-if="state !== 'recording'" d="M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3ZM6 11.5v.5a6 6 0 0 0 12 0v-.5M12 18v3"/><path v-else class="is-solid" d="M8 8h8v8H8Z"/></svg>
          <span class="rt-hidden">{{ state === "recording" ? text.try_stop : text.try_record }}</span>
        </button>
        <p class="rt-big" role="status">{{ hint }}</p>
        <p class="rt-hint">{{ text.try_or }} <label class="rt-file"><input type="file" accept="audio/*,.wav,.flac,.ogg,.opus,.mp3" :disabled="state !== 'idle'" @change="choose($event.target.files); $event.target.value = ''"><span>{{ text.try_choose }}</span></label> {{ text.try_drop }}</p>
      </section>
      <p v-if="error" class="rt-banner" role="alert">{{ error }}</p>
      <section v-if="answer" class="rt-card rt-answer" :class="'is-' + answer.event_type" aria-live="polite">
        <div class="rt-reading">
          <Glyph :emotion="answer.event_type" face />
          <div class="rt-words">
            <p class="rt-emotion">{{ text[answer.event_type] }}</p>
            <p class="rt-detail"><span>{{ answer.speech_s ? certainty : text.try_nobody }}</span><span>{{ text.try_speech(seconds(1000 * answer.speech_s)) }}</span><span>{{ answer.model }}</span></p>
          </div>
        </div>
        <ul class="rt-bars">
          <li v-for="label in sorted" :key="label" :class="'is-' + label"><Glyph :emotion="label" /><span>{{ text[label] }}</span>
            <span class="rt-bar" aria-hidden="true"><i :style="{ width: 100 * answer.probabilities[label] + '%' }"></i></span><b>{{ percent(answer.probabilities[label]) }}</b></li>
        </ul>
      </section>
      <p class="rt-hint rt-promise">{{ text.try_promise }}</p>
    </div>`,
};
