// Fleet: one card for each device with its problems and remedies, and the hub's reachability.

import { call, poll, text } from "roomtone";
import { ago, fullTime, isoTime, shortDay } from "roomtone/times.js";

const POLL_MS = 5000;

export default {
  setup: () => ({ text, shortDay, fullTime, isoTime }),
  data: () => ({ fleet: null, failed: "", now: Date.now() }),
  mounted() {
    this.stop = poll(this.refresh, POLL_MS);
  },
  unmounted() {
    this.stop();
  },
  computed: {
    devices() {
      return this.fleet ? this.fleet.devices : [];
    },
    faulty() {
      return this.devices.filter((device) => device.problems.some((p) => p.level !== "note")).length;
    },
    reach() {
      const { share, minutes } = this.fleet.reachable;
      if (share === null) return { words: text.reach_none, hint: "" };
      return { words: text.reach(`${(100 * share).toFixed(share > 0.99 && share < 1 ? 2 : 1)} %`), hint: text.reach_hint(Math.round(minutes / 1440)) };
    },
  },
  methods: {
    async refresh() {
      try {
        this.fleet = await call("GET", "fleet");
        this.failed = "";
      } catch (error) {
        this.failed = error.message;
      }
      this.now = Date.now();
    },
    describe: (problem) => (text.problems[problem.code] || (() => [problem.code, ""]))(problem.value),
    ago(ms) {
      return ms ? ago(ms, this.now) : "–";
    },
    worst: (device) => ["bad", "warn"].find((level) => device.problems.some((p) => p.level === level)) || "well",
    parts: (words) => words.split("`").map((part, i) => ({ part, code: i % 2 === 1 })),
  },
  template: `
    <div class="rt-board">
      <div v-if="failed" class="rt-banner" role="alert">{{ text.failed }}: {{ failed }}</div>
      <div class="rt-top"><h1 class="rt-title">{{ text.fleet }}</h1>
        <span v-if="fleet" class="rt-count">{{ text.fleet_count(devices.length, faulty) }}</span></div>
      <template v-if="fleet">
        <section class="rt-card rt-reach"><p class="rt-big">{{ reach.words }}</p><p class="rt-hint">{{ reach.hint }} · {{ text.hub_version(fleet.version) }}</p></section>
        <p v-if="!devices.length" class="rt-hint">{{ text.fleet_none }}</p>
        <div class="rt-devices">
          <article v-for="device in devices" :key="device.node" class="rt-card rt-device" :class="'is-' + worst(device)" :data-node="device.node">
            <h2><a :href="'/room/' + device.node">{{ device.name }}</a> <small>{{ device.node }}</small></h2>
            <ul v-if="device.problems.length" class="rt-problems" :aria-label="text.help">
              <li v-for="p in device.problems" :key="p.code" :class="'is-' + p.level"><strong>{{ describe(p)[0] }}</strong>
                <span><template v-for="w in parts(describe(p)[1])"><code v-if="w.code">{{ w.part }}</code><template v-else>{{ w.part }}</template></template></span></li>
            </ul>
            <p v-else class="rt-well">{{ text.well }}</p>
            <dl>
              <div><dt>{{ text.seen }}</dt><dd><time v-if="device.seen" :datetime="isoTime(device.seen)" :title="fullTime(device.seen)">{{ ago(device.seen) }}</time><template v-else>–</template></dd></div>
              <div><dt>{{ text.software }}</dt><dd>{{ device.version || "–" }}</dd></div>
              <div><dt>{{ text.model }}</dt><dd>{{ device.model || "–" }}</dd></div>
              <div><dt>{{ text.certificate_until }}</dt><dd>{{ device.certificate ? shortDay(device.certificate) + " " + new Date(device.certificate).getFullYear() : "–" }}</dd></div>
              <div><dt>{{ text.temperature }}</dt><dd>{{ device.temperature === null ? "–" : Math.round(device.temperature) + " °C" }}</dd></div>
              <div><dt>{{ text.queue }}</dt><dd>{{ device.queue === null ? "–" : device.queue }}</dd></div>
            </dl>
          </article>
        </div>
      </template>
      <p v-else-if="!failed" class="rt-hint">{{ text.loading }}</p>
    </div>`,
};
