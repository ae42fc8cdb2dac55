// Models: what each device runs, the roll-out of releases, and all model cards.

import { Card, call, poll, text } from "roomtone";

const POLL_MS = 3000;
const BUSY = ["checking", "downloading", "unpacking", "validating", "switching", "probation"];
const REFUSED = ["refused", "rolled back"];

export default {
  components: { Card },
  props: { operator: Boolean },
  setup: () => ({ text }),
  data: () => ({ known: null, failed: "", message: "", bad: false, asked: null, busy: false }),
  mounted() {
    this.stop = poll(this.refresh, POLL_MS);
  },
  unmounted() {
    this.stop();
  },
  computed: {
    devices() {
      return this.known ? this.known.devices : [];
    },
    releases() {
      return this.known ? this.known.models.filter((model) => model.release) : [];
    },
    shipped() {
      return this.known ? this.known.models.filter((model) => !model.release) : [];
    },
  },
  methods: {
    async refresh() {
      try {
        this.known = await call("GET", "models");
        this.failed = "";
      } catch (error) {
        this.failed = error.message;
      }
    },
    state(device) {
      if (!device.updates) return text.no_updates;
      if (!device.online) return text.offline;
      if (BUSY.includes(device.state)) return text.update_states[device.state] + (device.percentage === null ? "" : ` ${device.percentage} %`);
      return device.release ? text.runs_release(device.release) : text.runs_shipped;
    },
    working: (device) => device.online && BUSY.includes(device.state),
    targets(model) {
      const share = model.percent < 100 ? `${model.percent} % · ` : "";
      return share + (model.nodes.length ? text.goes_to(model.nodes.join(", ")) : text.goes_to_all);
    },
    parts(model) {
      const sum = (...names) => names.reduce((total, name) => total + (model.progress[name] || 0), 0);
      const all = Object.values(model.progress).reduce((total, n) => total + n, 0);
      const parts = [
        { what: "good", n: sum("good") },
        { what: "working", n: sum(...BUSY) },
        { what: "refused", n: sum(...REFUSED) },
        { what: "waiting", n: sum("idle", "offline", "unknown") },
      ].filter((part) => part.n);
      return { all, parts, words: parts.map((part) => text.progress[part.what](part.n)).join(", ") };
    },
    // Asks for confirmation.
    rollBackDialog(devices, what) {
      this.asked = { devices, what };
      this.$nextTick(() => this.$refs.dialog.showModal());
    },
    runs(model) {
      return this.devices.filter((device) => device.online && device.release === model.release);
    },
    showMessage(words, bad = false) {
      [this.message, this.bad] = [words, bad];
    },
    async rollBack() {
      this.$refs.dialog.close();
      await this.sendCommand(this.asked.devices, "model_rollback", text.rolled_back);
    },
    async sendCommand(devices, verb, done) {
      this.busy = true;
      const wrong = [];
      for (const device of devices) {
        try {
          const answer = await call("POST", `rooms/${device.node}/commands/${verb}`);
          if (!answer.ok) wrong.push(`${device.name}: ${answer.error}`);
        } catch (error) {
          wrong.push(`${device.name}: ${error.message}`);
        }
      }
      this.busy = false;
      this.showMessage(wrong.length ? `${text.command_failed}: ${wrong.join("; ")}` : done(devices.length), wrong.length > 0);
      await this.refresh();
    },
    async announce() {
      try {
        await call("POST", "models/announce");
        this.showMessage(text.announced);
      } catch (error) {
        this.showMessage(`${text.failed}: ${error.message}`, true);
      }
    },
  },
  template: `
    <div class="rt-board">
      <div v-if="failed" class="rt-banner" role="alert">{{ text.failed }}: {{ failed }}</div>
      <div class="rt-top"><h1 class="rt-title">{{ text.models }}</h1>
        <button v-if="operator && known && known.serves" type="button" class="rt-button rt-at-end" @click="announce">{{ text.check_all }}</button></div>
      <p v-if="message" :class="bad ? 'rt-banner' : 'rt-hint'" :role="bad ? 'alert' : 'status'">{{ message }}</p>
      <template v-if="known">
        <section class="rt-card" aria-labelledby="rt-running"><h2 id="rt-running">{{ text.running }}</h2>
          <p v-if="!devices.length" class="rt-hint">{{ text.fleet_none }}</p>
          <ul v-else class="rt-models" >
            <li v-for="device in devices" :key="device.node" :data-node="device.node" :class="{ 'is-bad': device.error }">
              <a :href="'/room/' + device.node">{{ device.name }}</a>
              <strong>{{ device.model || "–" }}</strong>
              <span>{{ state(device) }}<progress v-if="working(device)" :value="device.percentage === null ? undefined : device.percentage" max="100" :aria-label="text.update_of(device.name)"></progress></span>
              <span v-if="operator && device.updates && device.online" class="rt-actions">
                <button type="button" class="rt-button" :disabled="busy" :aria-label="text.check_of(device.name)" @click="sendCommand([device], 'model_check', text.checking)">{{ text.check }}</button>
                <button v-if="device.release" type="button" class="rt-button rt-danger" :disabled="busy" :aria-label="text.roll_back_of(device.name)" @click="rollBackDialog([device], device.name)">{{ text.roll_back }}</button></span>
              <small v-if="device.error">{{ device.error }}</small></li>
          </ul>
        </section>
        <section aria-labelledby="rt-releases"><h2 id="rt-releases" class="rt-section">{{ text.releases }}</h2>
          <p v-if="!releases.length" class="rt-hint">{{ known.serves ? text.releases_none : text.releases_elsewhere }}</p>
          <div class="rt-model-list">
            <article v-for="m in releases" :key="m.name" class="rt-card rt-model" :data-release="m.release">
              <h3>{{ m.model }} <small>{{ text.release(m.release) }}<template v-if="m.channel !== 'stable'"> · {{ m.channel }}</template></small></h3>
              <p v-if="m.withdraws" class="rt-hint">{{ text.withdraws(m.withdraws) }}</p>
              <p v-if="m.forced" class="rt-forced">{{ text.forced(m.forced) }}</p>
              <p class="rt-hint">{{ targets(m) }} · {{ text.megabytes(m.size) }} · {{ m.runtimes.join(", ") }}</p>
              <template v-if="m.progress">
                <div v-if="parts(m).all" class="rt-rollout" role="img" :aria-label="parts(m).words"><span v-for="p in parts(m).parts" :key="p.what" :class="'is-' + p.what" :style="{ flexGrow: p.n }"></span></div>
                <p class="rt-progress">{{ parts(m).all ? parts(m).words : text.reaches_none }}</p>
                <p v-if="operator" class="rt-hint">{{ text.roll_out_hint }} <code>roomtone fleet push {{ m.model }} --to all --percent {{ m.percent < 100 ? 100 : 10 }}</code>, <code>roomtone fleet withdraw {{ m.model }}</code></p>
              </template>
              <p v-else class="rt-progress">{{ text.runs_on(m.runs) }}</p>
              <Card :model="m">
                <button v-if="operator && runs(m).length" type="button" class="rt-button rt-danger" :disabled="busy" @click="rollBackDialog(runs(m), text.devices(runs(m).length))">{{ text.roll_back_all(runs(m).length) }}</button>
              </Card>
            </article>
          </div>
        </section>
        <section aria-labelledby="rt-shipped"><h2 id="rt-shipped" class="rt-section">{{ text.shipped }}</h2>
          <div class="rt-model-list">
            <article v-for="m in shipped" :key="m.name" class="rt-card rt-model">
              <h3>{{ m.model }}</h3><p class="rt-hint">{{ text.runs_on(m.runs) }} · {{ text.megabytes(m.size) }}</p>
              <Card :model="m" />
            </article>
          </div>
        </section>
        <dialog ref="dialog" class="rt-dialog" :aria-label="text.roll_back"><template v-if="asked">
          <p>{{ text.roll_back_confirm(asked.what) }}</p>
          <div class="rt-fields"><button type="button" class="rt-button" @click="$refs.dialog.close()">{{ text.cancel }}</button>
          <button type="button" class="rt-button rt-primary" @click="rollBack">{{ text.roll_back }}</button></div>
        </template></dialog>
      </template>
      <p v-else-if="!failed" class="rt-hint">{{ text.loading }}</p>
    </div>`,
};
