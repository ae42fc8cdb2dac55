// A room's export and erasure. What is erased is asked for twice, in words.

import { call } from "roomtone/shell.js";
import { text } from "roomtone/text.js";
import { fullTime } from "roomtone/times.js";

export const Manage = {
  props: { node: String, name: String, operator: Boolean },
  setup: () => ({ text }),
  data: () => ({ from: "", to: "", asked: null, said: "", bad: false }),
  computed: {
    query() {
      const iso = (local) => encodeURIComponent(new Date(local).toISOString());
      return [this.from && `from=${iso(this.from)}`, this.to && `to=${iso(this.to)}`].filter(Boolean).join("&");
    },
  },
  methods: {
    ask(whole) {
      this.said = "";
      if (!whole && !(this.from && this.to)) return this.say(text.no_period, true);
      this.asked = whole
        ? { path: `rooms/${this.node}`, words: text.erase_what_room(this.name) }
        : { path: `rooms/${this.node}?${this.query}`, words: text.erase_what_period(this.name, fullTime(new Date(this.from)), fullTime(new Date(this.to))) };
      this.$nextTick(() => this.$refs.dialog.showModal());
    },
    say(words, bad) {
      [this.said, this.bad] = [words, bad];
    },
    async erase() {
      this.$refs.dialog.close();
      try {
        const done = await call("DELETE", this.asked.path);
        if (!done.ok) return this.say(done.error, true);
        this.say(text.erased, false);
        setTimeout(() => location.reload(), 800);
      } catch (error) {
        this.say(`${text.failed}: ${error.message}`, true);
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
      <p v-if="said" :class="bad ? 'rt-banner' : 'rt-hint'" :role="bad ? 'alert' : 'status'">{{ said }}</p>
      <dialog ref="dialog" class="rt-dialog" :aria-label="text.erase"><template v-if="asked">
        <p>{{ text.erase_sure(asked.words) }}</p>
        <div class="rt-fields"><button type="button" class="rt-button" @click="$refs.dialog.close()">{{ text.cancel }}</button>
        <button type="button" class="rt-button rt-primary" @click="erase">{{ text.erase }}</button></div>
      </template></dialog>
    </section>`,
};
