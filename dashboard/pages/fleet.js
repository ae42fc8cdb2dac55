// Fleet: one row for each box, what is wrong and what to do, and how well the hub itself was reached.

import { call, poll, text } from "roomtone";
import { ago, fullTime, isoTime, shortDay } from "roomtone/times.js";

const EVERY_MS = 5000;

export default {
  setup: () => ({ text, shortDay, fullTime, isoTime }),
  data: () => ({ fleet: null, failed: "", now: Date.now() }),
  mounted() {
    this.stop = poll(this.look, EVERY_MS);
  },
  unmounted() {
    this.stop();
  },
  computed: {
    devices() {
      return this.fleet ? this.fleet.devices : [];
    },
    ill() {
      return this.devices.filter((box) => box.problems.some((p) => p.level !== "note")).length;
    },
    reach() {
      const { share, minutes } = this.fleet.reachable;
      if (share === null) return { words: text.reach_none, hint: "" };
      return { words: text.reach(`${(100 * share).toFixed(share > 0.99 && share < 1 ? 2 : 1)} %`), hint: text.reach_hint(Math.round(minutes / 1440)) };
    },
  },
  methods: {
    async look() {
      try {
        this.fleet = await call("GET", "fleet");
        this.failed = "";
      } catch (error) {
        this.failed = error.message;
      }
      this.now = Date.now();
    },
    said: (problem) => (text.problems[problem.code] || (() => [problem.code, ""]))(problem.value),
    ago(ms) {
      return ms ? ago(ms, this.now) : "–";
    },
    worst: (box) => ["bad", "warn"].find((level) => box.problems.some((p) => p.level === level)) || "well",
    parts: (words) => words.split("`").map((part, i) => ({ part, code: i % 2 === 1 })),
  },
  template: `
    <div class="rt-board">
      <div v-if="failed" class="rt-banner" role="alert">{{ text.failed }}: {{ failed }}</div>
      <div class="rt-top"><h1 class="rt-title">{{ text.fleet }}</h1>
        <span v-if="fleet" class="rt-count">{{ text.fleet_count(devices.length, ill) }}</span></div>
      <template v-if="fleet">
        <section class="rt-card rt-reach"><p class="rt-big">{{ reach.words }}</p><p class="rt-hint">{{ reach.hint }} · {{ text.hub_version(fleet.version) }}</p></section>
        <p v-if="!devices.length" class="rt-hint">{{ text.fleet_none }}</p>
        <div class="rt-boxes">
          <article v-for="box in devices" :key="box.node" class="rt-card rt-box" :class="'is-' + worst(box)" :data-node="box.node">
            <h2><a :href="'/room/' + box.node">{{ box.name }}</a> <small>{{ box.node }}</small></h2>
            <ul v-if="box.problems.length" class="rt-problems" :aria-label="text.help">
              <li v-for="p in box.problems" :key="p.code" :class="'is-' + p.level"><strong>{{ said(p)[0] }}</strong>
                <span><template v-for="w in parts(said(p)[1])"><code v-if="w.code">{{ w.part }}</code><template v-else>{{ w.part }}</template></template></span></li>
            </ul>
            <p v-else class="rt-well">{{ text.well }}</p>
            <dl>
              <div><dt>{{ text.seen }}</dt><dd><time v-if="box.seen" :datetime="isoTime(box.seen)" :title="fullTime(box.seen)">{{ ago(box.seen) }}</time><template v-else>–</template></dd></div>
              <div><dt>{{ text.software }}</dt><dd>{{ box.version || "–" }}</dd></div>
              <div><dt>{{ text.model }}</dt><dd>{{ box.model || "–" }}</dd></div>
              <div><dt>{{ text.certificate_until }}</dt><dd>{{ box.certificate ? shortDay(box.certificate) + " " + new Date(box.certificate).getFullYear() : "–" }}</dd></div>
              <div><dt>{{ text.temperature }}</dt><dd>{{ box.temperature === null ? "–" : Math.round(box.temperature) + " °C" }}</dd></div>
              <div><dt>{{ text.queue }}</dt><dd>{{ box.queue === null ? "–" : box.queue }}</dd></div>
            </dl>
          </article>
        </div>
      </template>
      <p v-else-if="!failed" class="rt-hint">{{ text.loading }}</p>
    </div>`,
};
