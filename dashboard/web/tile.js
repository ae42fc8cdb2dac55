// The tile of one room.

import { Glyph } from "roomtone/glyph.js";
import { call } from "roomtone/shell.js";
import { text } from "roomtone/text.js";
import { ago, clockTime, fullTime, isoTime, lasting, percent } from "roomtone/times.js";

const SLOTS = 20;
const FLOOR_DB = -60;
const QUIET_MS = 120_000;
const CERTIFICATE_DAYS = 30;

const icons = {
  ok: "M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3ZM6 11.5v.5a6 6 0 0 0 12 0v-.5M12 18v3",
  muted: "M15 10V6a3 3 0 0 0-5.7-1.3M9 9v3a3 3 0 0 0 4.5 2.6M6 11.5v.5a6 6 0 0 0 9.5 4.9M18 11.5v.5c0 .6-.1 1.2-.3 1.8M12 18v3M4 4l16 16",
  lost: "M12 4L2.8 20h18.4ZM12 10v4.5M12 17.2v.1",
  starting: "M12 4a8 8 0 1 1-8 8",
  offline: "M3 9a13 13 0 0 1 4.5-2.8M11 5a13 13 0 0 1 10 4M6.5 12.7a8 8 0 0 1 4-2.2M15 11a8 8 0 0 1 2.5 1.7M9.8 16.2a3.5 3.5 0 0 1 4.4 0M12 19.5v.1M4 3l16 17",
  unknown: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.1",
};

export const condition = (room) => {
  if (room.availability === "offline") return "offline";
  if (room.availability !== "online") return "unknown";
  return room.mic || "unknown";
};

export const Tile = {
  components: { Glyph },
  props: { room: Object, level: Object, now: Number, stale: Boolean, link: Boolean, operator: Boolean },
  setup: () => ({ text, fullTime, isoTime, percent, clockTime, icons }),
  data: () => ({ busy: false, refused: "" }),
  computed: {
    condition() {
      // Without a connection to the broker the state is unknown.
      return this.stale ? "unknown" : condition(this.room);
    },
    off() {
      return !["ok", "starting"].includes(this.condition);
    },
    icon() {
      return icons[this.condition];
    },
    speaking() {
      return this.fresh && this.level.speech && this.condition === "ok";
    },
    conditionText() {
      if (this.speaking) return text.speaking;
      return this.condition === "ok" ? text.listening : text[this.condition];
    },
    last() {
      return this.room.strip[this.room.strip.length - 1];
    },
    certificate() {
      // Shown only when it has to be renewed soon.
      const left = (this.room.certificate - this.now) / 86_400_000;
      if (!(left < CERTIFICATE_DAYS)) return "";
      return left < 0 ? text.certificate_over : text.certificate_ends(Math.floor(left));
    },
    quiet() {
      return !this.last || this.now - this.last.at > QUIET_MS;
    },
    certainty() {
      const { emotion, confidence, maybe } = this.room;
      if (emotion !== "uncertain") return text.sure(percent(confidence));
      return maybe ? text.maybe(text[maybe], percent(confidence)) : "";
    },
    lasting() {
      return this.room.since ? lasting(this.room.since, this.now) : "";
    },
    lastAgo() {
      return this.last ? `${text.last} ${ago(this.last.at, this.now)}` : "";
    },
    slots() {
      return [...Array(Math.max(0, SLOTS - this.room.strip.length)).fill(null), ...this.room.strip];
    },
    stripText() {
      return text.strip(this.room.strip.length, this.room.strip.map((e) => text[e.emotion]).join(", "));
    },
    fresh() {
      return !!this.level && this.now - this.level.at < 3000 && !this.off;
    },
    loudness() {
      return this.fresh ? Math.max(0, Math.min(1, 1 - this.level.dbfs / FLOOR_DB)) : 0;
    },
    decibels() {
      return this.fresh ? `${Math.round(this.level.dbfs)} dB` : "";
    },
  },
  methods: {
    async toggle() {
      this.busy = true;
      this.refused = "";
      try {
        const answer = await call("POST", `rooms/${this.room.node}/commands/${this.condition === "muted" ? "unmute" : "mute"}`);
        if (!answer.ok) throw new Error(answer.error);
      } catch (error) {
        this.refused = `${text.command_failed}: ${error.message}`;
      }
      this.busy = false;
    },
    slotTitle(e) {
      const what = e.maybe ? `${text.uncertain}, ${text.maybe(text[e.maybe], percent(e.confidence))}` : `${text[e.emotion]} ${percent(e.confidence)}`;
      return `${what} · ${clockTime(e.at)}`;
    },
  },
  template: `
    <article class="rt-tile" :class="['is-' + (room.emotion || 'none'), { 'is-quiet': quiet, 'is-off': off, 'is-stale': stale }]" :aria-label="room.name" :data-node="room.node">
      <header class="rt-tile-head">
        <h2 class="rt-name" :title="room.node"><a v-if="link" :href="'/room/' + room.node">{{ room.name }}</a><template v-else>{{ room.name }}</template></h2>
        <span class="rt-condition" :class="['on-' + condition, { 'is-speaking': speaking }]">
          <svg viewBox="0 0 24 24" aria-hidden="true"><path :d="icon"/></svg>{{ conditionText }}
        </span>
      </header>
      <div class="rt-reading" v-if="room.emotion">
        <Glyph :emotion="room.emotion" face />
        <div class="rt-words">
          <p class="rt-emotion">{{ text[room.emotion] }}</p>
          <p class="rt-detail">
            <span v-if="certainty">{{ certainty }}</span>
            <time v-if="lasting" :datetime="isoTime(room.since)" :title="fullTime(room.since)">{{ lasting }}</time>
          </p>
          <span class="rt-bar" aria-hidden="true"><i :style="{ width: percent(room.confidence).replace(' ', '') }"></i></span>
        </div>
      </div>
      <p class="rt-reading rt-nothing" v-else>{{ text.nothing }}</p>
      <p v-if="certificate" class="rt-certificate">{{ certificate }}</p>
      <div class="rt-history">
        <div class="rt-strip" role="img" :aria-label="stripText">
          <span v-for="(e, i) in slots" :key="e ? e.id : i" :title="e ? slotTitle(e) : undefined">
            <Glyph v-if="e" :emotion="e.emotion" /><i v-else class="rt-dot"></i>
          </span>
        </div>
        <p v-if="refused" class="rt-refused" role="alert">{{ refused }}</p>
        <div class="rt-foot">
        <button v-if="operator && ['ok', 'muted'].includes(condition)" type="button" class="rt-mute" :disabled="busy" :aria-label="condition === 'muted' ? text.unmute_room(room.name) : text.mute_room(room.name)" @click="toggle">
          <svg viewBox="0 0 24 24" aria-hidden="true"><path :d="icons[condition === 'muted' ? 'ok' : 'muted']"/></svg>{{ condition === "muted" ? text.unmute : text.mute }}</button>
        <time v-if="last" class="rt-last" :datetime="isoTime(last.at)" :title="fullTime(last.at)">{{ lastAgo }}</time>
        <div class="rt-level" role="meter" :aria-label="text.level" aria-valuemin="-60" aria-valuemax="0" :aria-valuenow="fresh ? Math.round(level.dbfs) : -60" :aria-valuetext="decibels || text.no_level">
        <span class="rt-track"><i :style="{ transform: 'scaleX(' + loudness + ')' }" :class="{ 'is-speaking': speaking }"></i></span>
        <span class="rt-db">{{ decibels || "–" }}</span>
        </div>
        </div>
      </div>
    </article>`,
};
