// Rooms: tiles, list of utterances, legend; help while there is no data. State comes as patches from live/feed.py.

import { EMOTIONS, Glyph, Tile, Utterances, condition, text } from "roomtone";

const KEPT = 200;

export default {
  components: { Glyph, Tile, Utterances },
  props: { first: Object, broker: String, baseTopic: String, operator: Boolean },
  emits: ["visible"],
  setup: () => ({ text, EMOTIONS }),
  data: () => ({ rooms: {}, levels: {}, events: [], link: { state: "connecting", detail: "" }, skew: 0, now: Date.now() }),
  created() {
    this.patch(this.first);
  },
  mounted() {
    // Ages are computed here, so that the server sends nothing while nothing changes.
    this.ticker = setInterval(() => !document.hidden && this.tick(), 1000);
    this.onVisibility = () => {
      this.$emit("visible", !document.hidden);
      if (!document.hidden) this.tick();
    };
    document.addEventListener("visibilitychange", this.onVisibility);
    if (document.hidden) this.onVisibility();
  },
  unmounted() {
    clearInterval(this.ticker);
    document.removeEventListener("visibilitychange", this.onVisibility);
  },
  computed: {
    sorted() {
      return Object.values(this.rooms).sort((a, b) => a.name.localeCompare(b.name) || a.node.localeCompare(b.node));
    },
    names() {
      return Object.fromEntries(Object.values(this.rooms).map((room) => [room.node, room.name]));
    },
    faulty() {
      return this.sorted.filter((room) => ["offline", "lost"].includes(condition(room))).length;
    },
    count() {
      return text.count(this.sorted.length, this.faulty);
    },
    isLost() {
      return this.link.state === "lost";
    },
  },
  methods: {
    tick() {
      this.now = Date.now() + this.skew;
    },
    patch(view) {
      if (view.now) this.skew = view.now - Date.now();
      this.tick();
      if (view.broker) this.link = view.broker;
      for (const node of view.gone || []) {
        delete this.rooms[node];
        delete this.levels[node];
      }
      for (const room of view.rooms || []) this.rooms[room.node] = room;
      for (const [node, [dbfs, speech]] of Object.entries(view.levels || {})) this.levels[node] = { dbfs, speech, at: this.now };
      if (view.events) {
        const known = new Set(this.events.map((e) => e.id));
        const fresh = view.events.filter((e) => !known.has(e.id));
        this.events = [...fresh, ...this.events].sort((a, b) => b.at - a.at).slice(0, KEPT);
      }
    },
  },
  template: `
    <div class="rt-board">
      <div v-if="isLost" class="rt-banner" role="alert">
        <strong>{{ text.lost_title }}</strong> {{ sorted.length ? text.lost_text : "" }}
        <small>{{ broker }}: {{ link.detail }}</small>
      </div>
      <div class="rt-top">
        <h1 class="rt-title">{{ text.rooms }}</h1>
        <span v-if="sorted.length" class="rt-count">{{ count }}</span>
        <span class="rt-live" :class="'is-' + link.state" role="status">{{ link.state === "connected" ? text.live : link.state === "lost" ? "" : text.connecting }}</span>
      </div>
      <section v-if="!sorted.length" class="rt-empty">
        <Glyph emotion="neutral" face />
        <h2>{{ text.empty_title }}</h2>
        <p>{{ text.empty_text[0] }} <code>{{ broker }}</code>{{ text.empty_text[1] }} <code>{{ baseTopic }}</code>.</p>
        <ul>
          <li><strong>{{ text.empty_demo[0] }}</strong> <code>./run demo</code> {{ text.empty_demo[1] }}</li>
          <li><strong>{{ text.empty_device[0] }}</strong> {{ text.empty_device[1] }} <code>roomtone ear</code> {{ text.empty_device[2] }} <code>roomtone link</code> {{ text.empty_device[3] }} <code>roomtone doctor</code> {{ text.empty_device[4] }}</li>
          <li><strong>{{ text.empty_listen[0] }}</strong> {{ text.empty_listen[1] }} <code>mosquitto_sub -t '{{ baseTopic }}/#' -v</code></li>
        </ul>
      </section>
      <template v-else>
        <div class="rt-tiles">
          <Tile v-for="room in sorted" :key="room.node" :room="room" :level="levels[room.node]" :now="now" :stale="isLost" :operator="operator" link />
        </div>
        <Utterances :events="events" :names="names" />
        <ul class="rt-legend" :aria-label="text.legend">
          <li v-for="emotion in EMOTIONS" :key="emotion" :class="'is-' + emotion"><Glyph :emotion="emotion" />{{ text[emotion] }}</li>
        </ul>
      </template>
    </div>`,
};
