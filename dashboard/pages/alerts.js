// Alerts: the alerts, the rules, and a form for a new rule.

import { EMOTIONS, Glyph, call, poll, text } from "roomtone";
import { clockTime, fullTime, isoTime, percent, shortTime } from "roomtone/times.js";

const POLL_MS = 5000;
const fresh = () => ({ name: "", node: "", emotion: "angry", minutes: 10, share: 60, least: 5, webhook: "" });

export default {
  components: { Glyph },
  props: { operator: Boolean },
  setup: () => ({ text, EMOTIONS, clockTime, fullTime, isoTime, percent, shortTime }),
  data: () => ({ rules: null, alerts: [], rooms: [], failed: "", rule: fresh(), message: "" }),
  mounted() {
    this.stop = poll(this.refresh, POLL_MS);
  },
  unmounted() {
    this.stop();
  },
  methods: {
    async refresh() {
      try {
        [this.rules, this.alerts, this.rooms] = await Promise.all([call("GET", "rules"), call("GET", "alerts?limit=50"), call("GET", "rooms")]);
        this.failed = "";
      } catch (error) {
        this.failed = error.message;
      }
    },
    describe: (rule) => text.rule_says(text[rule.emotion], rule.minutes, percent(rule.share), rule.least),
    room(node) {
      const known = this.rooms.find((room) => room.node === node);
      return node ? (known ? known.name : node) : text.every_room;
    },
    async add() {
      this.message = "";
      try {
        await call("POST", "rules", { ...this.rule, share: this.rule.share / 100 });
        this.rule = fresh();
      } catch (error) {
        this.message = error.message;
      }
      await this.refresh();
    },
    async remove(rule) {
      try {
        await call("DELETE", `rules/${rule.id}`);
      } catch (error) {
        this.message = error.message;
      }
      await this.refresh();
    },
  },
  template: `
    <div class="rt-board">
      <div class="rt-top"><h1 class="rt-title">{{ text.alerts }}</h1></div>
      <p v-if="failed && !rules" class="rt-hint">{{ failed.includes("--database") ? text.rules_local : text.failed + ": " + failed }}</p>
      <template v-if="rules">
        <p v-if="!alerts.length" class="rt-hint">{{ text.alerts_none }}</p>
        <ol v-else class="rt-rows" tabindex="0" :aria-label="text.alerts">
          <li v-for="a in alerts" :key="a.id" class="rt-row rt-alert" :class="['is-' + a.emotion, { 'is-on': a.until === null }]">
            <time class="rt-at" :datetime="isoTime(a.since)" :title="fullTime(a.since)">{{ shortTime(a.since) }}</time>
            <a class="rt-room" :href="'/room/' + a.node">{{ a.room }}</a>
            <span class="rt-what"><Glyph :emotion="a.emotion" />{{ a.name }}</span>
            <span>{{ text[a.emotion] }} {{ percent(a.share) }}</span>
            <span class="rt-length">{{ a.until === null ? text.lasts : text.ended(shortTime(a.until)) }}</span>
          </li>
        </ol>
        <div class="rt-pair">
          <section class="rt-card" aria-labelledby="rt-rules"><h2 id="rt-rules">{{ text.rules }}</h2>
            <p v-if="!rules.length" class="rt-hint">{{ text.rules_none }}</p>
            <ul class="rt-rules">
              <li v-for="r in rules" :key="r.id" :class="'is-' + r.emotion"><Glyph :emotion="r.emotion" />
                <span><strong>{{ r.name }}</strong> {{ room(r.node) }}<small>{{ describe(r) }}<template v-if="r.webhook"> · {{ r.webhook }}</template></small></span>
                <button v-if="operator" type="button" class="rt-button" :aria-label="text.rule_remove(r.name)" @click="remove(r)">{{ text.remove }}</button></li>
            </ul>
          </section>
          <form v-if="operator" class="rt-card rt-form" aria-labelledby="rt-new" @submit.prevent="add"><h2 id="rt-new">{{ text.rule_new }}</h2>
            <label class="rt-field rt-wide">{{ text.rule_name }}<input v-model.trim="rule.name" required maxlength="64"></label>
            <label class="rt-field">{{ text.rule_room }}<select v-model="rule.node"><option value="">{{ text.every_room }}</option><option v-for="r in rooms" :key="r.node" :value="r.node">{{ r.name }}</option></select></label>
            <label class="rt-field">{{ text.rule_emotion }}<select v-model="rule.emotion"><option v-for="e in EMOTIONS" :key="e" :value="e">{{ text[e] }}</option></select></label>
            <label class="rt-field">{{ text.rule_minutes }}<input v-model.number="rule.minutes" type="number" min="1" max="1440" required></label>
            <label class="rt-field">{{ text.rule_share }}<input v-model.number="rule.share" type="number" min="1" max="99" required></label>
            <label class="rt-field">{{ text.rule_least }}<input v-model.number="rule.least" type="number" min="1" max="1000" required></label>
            <label class="rt-field rt-wide">{{ text.rule_webhook }}<input v-model.trim="rule.webhook" type="url" maxlength="500" placeholder="https://"></label>
            <p class="rt-hint rt-wide">{{ text.rule_hint }}</p>
            <button class="rt-button rt-primary rt-wide">{{ text.rule_add }}</button>
            <p v-if="message" class="rt-banner rt-wide" role="alert">{{ message }}</p>
          </form>
          <p v-else class="rt-card rt-hint">{{ text.only_operator }}</p>
        </div>
      </template>
      <p v-else-if="!failed" class="rt-hint">{{ text.loading }}</p>
    </div>`,
};
