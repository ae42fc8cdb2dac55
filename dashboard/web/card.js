// A model's card and its pictures, fetched when somebody opens them. The HTML is made by the hub of text and tables only.

import { call } from "roomtone/shell.js";
import { text } from "roomtone/text.js";

export const Card = {
  props: { model: Object },
  setup: () => ({ text }),
  data: () => ({ open: false, html: "", failed: "" }),
  methods: {
    async toggle() {
      this.open = !this.open;
      if (!this.open || this.html) return;
      try {
        this.html = (await call("GET", `models/${this.model.name}/card`)).html;
        this.failed = "";
      } catch (error) {
        this.failed = `${text.failed}: ${error.message}`;
      }
    },
    source(plot) {
      return `/api/models/${this.model.name}/plots/${plot}`;
    },
    named: (plot) => plot.replace(/\.png$/, "").replaceAll("_", " "),
  },
  template: `
    <div class="rt-fields"><button type="button" class="rt-button" :aria-expanded="open ? 'true' : 'false'" :aria-label="text.card_of(model.model)" @click="toggle">{{ open ? text.card_close : text.card }}</button><slot></slot></div>
    <p v-if="open && failed" class="rt-banner" role="alert">{{ failed }}</p>
    <template v-if="open && html">
      <div v-if="model.plots.length" class="rt-plots"><figure v-for="p in model.plots" :key="p">
        <a :href="source(p)" target="_blank" rel="noopener"><img :src="source(p)" :alt="text.plot_of(named(p))" loading="lazy"></a><figcaption>{{ named(p) }}</figcaption></figure></div>
      <div class="rt-markdown" lang="en" v-html="html"></div>
    </template>`,
};
