// Models: what every box runs, how far a release has come, and the cards of all of them.

import { Card, call, poll, text } from "roomtone";

const EVERY_MS = 3000;
const BUSY = ["checking", "downloading", "unpacking", "validating", "switching", "probation"];
const BACK = ["refused", "rolled back"];

export default {
  components: { Card },
  props: { operator: Boolean },
  setup: () => ({ text }),
  data: () => ({ known: null, failed: "", said: "", bad: false, asked: null, busy: false }),
  mounted() {
    this.stop = poll(this.look, EVERY_MS);
  },
  unmounted() {
    this.stop();
  },
  computed: {
    boxes() {
      return this.known ? this.known.boxes : [];
    },
    releases() {
      return this.known ? this.known.models.filter((model) => model.release) : [];
    },
    shipped() {
      return this.known ? this.known.models.filter((model) => !model.release) : [];
    },
  },
  methods: {
    async look() {
      try {
        this.known = await call("GET", "models");
        this.failed = "";
      } catch (error) {
        this.failed = error.message;
      }
    },
    state(box) {
      if (!box.updates) return text.no_updates;
      if (!box.online) return text.offline;
      if (BUSY.includes(box.state)) return text.update_states[box.state] + (box.percentage === null ? "" : ` ${box.percentage} %`);
      return box.release ? text.runs_release(box.release) : text.runs_shipped;
    },
    working: (box) => box.online && BUSY.includes(box.state),
    who(model) {
      const share = model.percent < 100 ? `${model.percent} % · ` : "";
      return share + (model.nodes.length ? text.goes_to(model.nodes.join(", ")) : text.goes_to_all);
    },
    parts(model) {
      const sum = (...names) => names.reduce((total, name) => total + (model.progress[name] || 0), 0);
      const all = Object.values(model.progress).reduce((total, n) => total + n, 0);
      const parts = [
        { what: "good", n: sum("good") },
        { what: "working", n: sum(...BUSY) },
        { what: "back", n: sum(...BACK) },
        { what: "waiting", n: sum("idle", "offline", "unknown") },
      ].filter((part) => part.n);
      return { all, parts, words: parts.map((part) => text.progress[part.what](part.n)).join(", ") };
    },
    // Asked for twice where it changes what a room hears with.
    back(boxes, what) {
      this.asked = { boxes, what };
      this.$nextTick(() => this.$refs.dialog.showModal());
    },
    runs(model) {
      return this.boxes.filter((box) => box.online && box.release === model.release);
    },
    say(words, bad = false) {
      [this.said, this.bad] = [words, bad];
    },
    async rollBack() {
      this.$refs.dialog.close();
      await this.tell(this.asked.boxes, "model_rollback", text.rolled_back);
    },
    async tell(boxes, verb, done) {
      this.busy = true;
      const wrong = [];
      for (const box of boxes) {
        try {
          const answer = await call("POST", `rooms/${box.node}/commands/${verb}`);
          if (!answer.ok) wrong.push(`${box.name}: ${answer.error}`);
        } catch (error) {
          wrong.push(`${box.name}: ${error.message}`);
        }
      }
      this.busy = false;
      this.say(wrong.length ? `${text.command_failed}: ${wrong.join("; ")}` : done(boxes.length), wrong.length > 0);
      await this.look();
    },
    async announce() {
      try {
        await call("POST", "models/announce");
        this.say(text.announced);
      } catch (error) {
        this.say(`${text.failed}: ${error.message}`, true);
      }
    },
  },
  template: `
    <div class="rt-board">
      <div v-if="failed" class="rt-banner" role="alert">{{ text.failed }}: {{ failed }}</div>
      <div class="rt-top"><h1 class="rt-title">{{ text.models }}</h1>
        <button v-if="operator && known && known.serves" type="button" class="rt-button rt-at-end" @click="announce">{{ text.look_all }}</button></div>
      <p v-if="said" :class="bad ? 'rt-banner' : 'rt-hint'" :role="bad ? 'alert' : 'status'">{{ said }}</p>
      <template v-if="known">
        <section class="rt-card" aria-labelledby="rt-running"><h2 id="rt-running">{{ text.running }}</h2>
          <p v-if="!boxes.length" class="rt-hint">{{ text.fleet_none }}</p>
          <ul v-else class="rt-models" >
            <li v-for="box in boxes" :key="box.node" :data-node="box.node" :class="{ 'is-bad': box.error }">
              <a :href="'/room/' + box.node">{{ box.name }}</a>
              <strong>{{ box.model || "–" }}</strong>
              <span>{{ state(box) }}<progress v-if="working(box)" :value="box.percentage === null ? undefined : box.percentage" max="100" :aria-label="text.update_of(box.name)"></progress></span>
              <span v-if="operator && box.updates && box.online" class="rt-acts">
                <button type="button" class="rt-button" :disabled="busy" :aria-label="text.look_of(box.name)" @click="tell([box], 'model_check', text.looked)">{{ text.look }}</button>
                <button v-if="box.release" type="button" class="rt-button rt-danger" :disabled="busy" :aria-label="text.back_of(box.name)" @click="back([box], box.name)">{{ text.roll_back }}</button></span>
              <small v-if="box.error">{{ box.error }}</small></li>
          </ul>
        </section>
        <section aria-labelledby="rt-releases"><h2 id="rt-releases" class="rt-section">{{ text.releases }}</h2>
          <p v-if="!releases.length" class="rt-hint">{{ known.serves ? text.releases_none : text.releases_elsewhere }}</p>
          <div class="rt-list-of-models">
            <article v-for="m in releases" :key="m.name" class="rt-card rt-model" :data-release="m.release">
              <h3>{{ m.model }} <small>{{ text.release(m.release) }}<template v-if="m.channel !== 'stable'"> · {{ m.channel }}</template></small></h3>
              <p v-if="m.withdraws" class="rt-hint">{{ text.withdraws(m.withdraws) }}</p>
              <p v-if="m.forced" class="rt-forced">{{ text.forced(m.forced) }}</p>
              <p class="rt-hint">{{ who(m) }} · {{ text.megabytes(m.size) }} · {{ m.runtimes.join(", ") }}</p>
              <template v-if="m.progress">
                <div v-if="parts(m).all" class="rt-rollout" role="img" :aria-label="parts(m).words"><span v-for="p in parts(m).parts" :key="p.what" :class="'is-' + p.what" :style="{ flexGrow: p.n }"></span></div>
                <p class="rt-progress">{{ parts(m).all ? parts(m).words : text.reaches_none }}</p>
                <p v-if="operator" class="rt-hint">{{ text.roll_out_hint }} <code>roomtone fleet push {{ m.model }} --to all --percent {{ m.percent < 100 ? 100 : 10 }}</code>, <code>roomtone fleet withdraw {{ m.model }}</code></p>
              </template>
              <p v-else class="rt-progress">{{ text.runs_on(m.runs) }}</p>
              <Card :model="m">
                <button v-if="operator && runs(m).length" type="button" class="rt-button rt-danger" :disabled="busy" @click="back(runs(m), text.boxes(runs(m).length))">{{ text.roll_back_all(runs(m).length) }}</button>
              </Card>
            </article>
          </div>
        </section>
        <section aria-labelledby="rt-shipped"><h2 id="rt-shipped" class="rt-section">{{ text.shipped }}</h2>
          <div class="rt-list-of-models">
            <article v-for="m in shipped" :key="m.name" class="rt-card rt-model">
              <h3>{{ m.model }}</h3><p class="rt-hint">{{ text.runs_on(m.runs) }} · {{ text.megabytes(m.size) }}</p>
              <Card :model="m" />
            </article>
          </div>
        </section>
        <dialog ref="dialog" class="rt-dialog" :aria-label="text.roll_back"><template v-if="asked">
          <p>{{ text.back_sure(asked.what) }}</p>
          <div class="rt-fields"><button type="button" class="rt-button" @click="$refs.dialog.close()">{{ text.cancel }}</button>
          <button type="button" class="rt-button rt-primary" @click="rollBack">{{ text.roll_back }}</button></div>
        </template></dialog>
      </template>
      <p v-else-if="!failed" class="rt-hint">{{ text.loading }}</p>
    </div>`,
};
