// The list of utterances, newest first.

import { Glyph } from "roomtone/glyph.js";
import { text } from "roomtone/text.js";
import { clockTime, fullTime, isoTime, percent, seconds } from "roomtone/times.js";

export const Utterances = {
  components: { Glyph },
  props: { events: Array, names: Object, more: Boolean },
  emits: ["more"],
  setup: () => ({ text, clockTime, fullTime, isoTime, percent, seconds }),
  methods: {
    word(e) {
      return e.emotion === "uncertain" && e.maybe ? `${text.uncertain}: ${text.maybe(text[e.maybe], "").trim()}` : text[e.emotion];
    },
  },
  template: `
    <section class="rt-list" aria-labelledby="rt-list-title">
      <h2 id="rt-list-title" class="rt-title">{{ text.utterances }}</h2>
      <p v-if="!events.length" class="rt-hint">{{ text.none_yet }}</p>
      <ol v-else class="rt-rows" tabindex="0" :aria-label="text.utterances">
        <li v-for="e in events" :key="e.id" class="rt-row" :class="'is-' + e.emotion">
          <time class="rt-at" :datetime="isoTime(e.at)" :title="fullTime(e.at)">{{ clockTime(e.at) }}</time>
          <span class="rt-room">{{ names[e.node] || e.node }}</span>
          <span class="rt-what"><Glyph :emotion="e.emotion" />{{ word(e) }}</span>
          <span class="rt-share"><span class="rt-bar" aria-hidden="true"><i :style="{ width: percent(e.confidence).replace(' ', '') }"></i></span><b>{{ percent(e.confidence) }}</b></span>
          <span class="rt-length">{{ seconds(e.duration) }}</span>
        </li>
        <li v-if="more" class="rt-more"><button type="button" class="rt-button" @click="$emit('more')">{{ text.earlier }}</button></li>
      </ol>
    </section>`,
};
