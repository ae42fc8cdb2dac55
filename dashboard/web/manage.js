// Export and erasure of a room. Erasure asks for confirmation.

import { call } from "roomtone/shell.js";
import { text } from "roomtone/text.js";
import { fullTime } from "roomtone/times.js";

export const Manage = {
  props: { node: String, name: String, operator: Boolean },
  setup: () => ({ text }),
  data: () => ({ from: "", to: "", asked: null, message: "", bad: false }),
  computed: {
    query() {
      const iso = (local) => encodeURIComponent(new Date(local).toISOString());
      return [this.from && `from=${iso(this.from)}`, this.to && `to=${iso(this.to)}`].filter(Boolean).join("&");
    },
  },
  methods: {
    ask(whole) {
      this.message = "";
      if (!whole && !(this.from && this.to)) return this.showMessage(text.no_period, true);
      this.asked = whole
        ? { path: `rooms/${this.node}`, words: text.erase_what_room(this.name) }
        : { path: `rooms/${this.node}?${this.query}`, words: text.erase_what_period(this.name, fullTime(new Date(this.from)), fullTime(new Date(this.to))) };
      this.$nextTick(() => this.$refs.dialog.showModal());
    },
    showMessage(words, bad) {
      [this.message, this.bad] = [words, bad];
    },
    async erase() {
      this.$refs.dialog.close();
      try {
        const done = await call("DELETE", this.asked.path);
        if (!done.ok) return this.showMessage(done.error, true);
        this.showMessage(text.erased, false);
        setTimeout(() => location.reload(), 800);
      } catch (error) {
        this.showMessage(`${text.failed}: ${error.message}`, true);
      }
    },
  },
  template: `
    <section class="rt-card rt-manage" aria-labelledby="rt-manage">
      <h2 id="rt-manage">{{ text.manage }}</h2>
      <div class="rt-fields">
        <label class="rt-field">{{ text.from }}<input type="datetime-local" v-model="from"></label>
        <label class="rt-field">{{ text.to }}<input type="datetime-local" v-model="to"></label>
        <a class="rt-button" :href="'/api/rooms/' + node + '/events.csv' + (query ? '?' + query : '')" download>{{ text.export }}</a>
        <template v-if="operator">
          <button type="button" class="rt-button rt-danger" @click="ask(false)">{{ text.erase_period }}</button>
          <button type="button" class="rt-button rt-danger" @click="ask(true)">{{ text.erase_room }}</button>
        </template>
      </div>
      <p v-if="message" :class="bad ? 'rt-banner' : 'rt-hint'" :role="bad ? 'alert' : 'status'">{{ message }}</p>
      <dialog ref="dialog" class="rt-dialog" :aria-label="text.erase"><template v-if="asked">
        <p>{{ text.erase_confirm(asked.words) }}</p>
        <div class="rt-fields"><button type="button" class="rt-button" @click="$refs.dialog.close()">{{ text.cancel }}</button>
        <button type="button" class="rt-button rt-primary" @click="erase">{{ text.erase }}</button></div>
      </template></dialog>
    </section>`,
};
