// Room: live tile, charts, utterances. Live state comes as patches from live/feed.py, recorded data from db/history.py.

import { echarts } from "nicegui-echart";
import { EMOTIONS, Glyph, Manage, Tile, Utterances, charts as draw, text } from "roomtone";
import { locale } from "roomtone/text.js";

const REFRESH_MS = 60_000;

export default {
  components: { Glyph, Manage, Tile, Utterances },
  props: { node: String, name: String, first: Object, recorded: Boolean, operator: Boolean },
  emits: ["visible", "charts", "more"],
  setup: () => ({ text, EMOTIONS, names: draw.names, until: (ms) => new Intl.DateTimeFormat(locale, { dateStyle: "medium" }).format(ms) }),
  data: () => ({ room: null, level: null, events: [], link: { state: "connecting" }, charts: null, failed: false, mode: "hours", complete: false, skew: 0, now: Date.now() }),
  created() {
    this.plots = new Map();
    this.patch(this.first);
  },
  mounted() {
    this.ticker = setInterval(() => !document.hidden && this.tick(), 1000);
    this.refresher = setInterval(() => !document.hidden && this.requestCharts(), REFRESH_MS);
    this.onVisibility = () => {
      this.$emit("visible", !document.hidden);
      if (!document.hidden) this.requestCharts();
    };
    document.addEventListener("visibilitychange", this.onVisibility);
    window.addEventListener("rt-theme", this.draw);
    this.observer = new ResizeObserver(() => this.plots.forEach((plot) => plot.resize()));
    this.requestCharts();
    if (this.recorded) this.$emit("more", null);
  },
  unmounted() {
    clearInterval(this.ticker);
    clearInterval(this.refresher);
    document.removeEventListener("visibilitychange", this.onVisibility);
    window.removeEventListener("rt-theme", this.draw);
    this.observer.disconnect();
    this.plots.forEach((plot) => plot.dispose());
  },
  computed: {
    isLost() {
      return this.link.state === "lost";
    },
    sums() {
      return this.charts ? this.charts[this.mode] : [];
    },
    roomNames() {
      return { [this.node]: this.room ? this.room.name : this.name };
    },
    rows() {
      return this.sums.map((sum) => ({ at: sum.at, total: sum.counts.reduce((a, b) => a + b, 0), counts: sum.counts }));
    },
  },
  watch: {
    mode() {
      this.$nextTick(this.draw);
    },
  },
  methods: {
    tick() {
      this.now = Date.now() + this.skew;
    },
    requestCharts() {
      this.tick();
      if (this.recorded) this.$emit("charts", Intl.DateTimeFormat().resolvedOptions().timeZone);
    },
    patch(view) {
      if (view.now) this.skew = view.now - Date.now();
      this.tick();
      if (view.broker) this.link = view.broker;
      for (const room of view.rooms || []) this.room = room;
      for (const [dbfs, speech] of Object.values(view.levels || {})) this.level = { dbfs, speech, at: this.now };
      if (view.events && view.events.length) {
        this.merge(view.events);
        if (this.charts) {
          for (const e of view.events) if (e.at >= this.charts.today) this.charts.marks.push([e.at, EMOTIONS.indexOf(e.emotion), Math.round(e.confidence * 1000), e.duration]);
          this.draw();
        }
      }
    },
    add(listed) {
      this.complete = listed.length < 100;
      this.merge(listed);
    },
    merge(events) {
      // The same utterance comes live and from the database.
      const known = new Set(this.events.map((e) => e.id));
      this.events = [...this.events, ...events.filter((e) => !known.has(e.id))].sort((a, b) => b.at - a.at);
    },
    earlier() {
      this.$emit("more", this.events[this.events.length - 1].at);
    },
    chart(charts) {
      this.failed = charts === null;
      if (charts) this.charts = Vue.markRaw(charts);
      this.$nextTick(this.draw);
    },
    draw() {
      if (!this.charts) return;
      this.plot("day", (el) => draw.day(el, this.charts, this.now));
      this.plot("shares", (el) => draw.shares(el, this.sums, this.names[this.mode]));
      this.plot("week", (el) => draw.week(el, this.charts.week));
    },
    plot(name, option) {
      const element = this.$refs[name];
      if (!element) return;
      if (!this.plots.has(name)) {
        this.plots.set(name, echarts.init(element, null, { renderer: "svg" }));
        this.observer.observe(element);
      }
      this.plots.get(name).setOption(option(element), true);
    },
  },
  template: `
    <div class="rt-board">
      <div v-if="isLost" class="rt-banner" role="alert"><strong>{{ text.lost_title }}</strong> {{ text.lost_text }}</div>
      <div class="rt-top">
        <h1 class="rt-title">{{ roomNames[node] }}</h1>
        <a class="rt-back" href="/">{{ text.back }}</a>
      </div>
      <p v-if="!room && charts && !charts.total" class="rt-hint">{{ text.unknown_room }}</p>
      <div class="rt-now">
        <Tile v-if="room" :room="room" :level="level" :now="now" :stale="isLost" :operator="operator" />
        <section v-if="charts" class="rt-card" aria-labelledby="rt-day">
          <h2 id="rt-day">{{ text.today }} <small>{{ text.today_hint }}</small></h2>
          <p v-if="!charts.marks.length" class="rt-hint">{{ text.nothing_today }}</p>
          <div v-show="charts.marks.length" ref="day" class="rt-chart"></div>
        </section>
        <p v-else class="rt-card rt-hint">{{ failed ? text.no_charts : recorded ? text.loading : text.no_history }}</p>
      </div>
      <div v-if="charts" class="rt-pair">
        <section class="rt-card" aria-labelledby="rt-shares">
          <div class="rt-head"><h2 id="rt-shares">{{ text.share }}</h2>
            <span class="rt-switch" role="group" :aria-label="text.share">
              <button v-for="m in ['hours', 'days']" :key="m" type="button" :aria-pressed="mode === m ? 'true' : 'false'" @click="mode = m">{{ m === "hours" ? text.by_hour : text.by_day }}</button>
            </span>
          </div>
          <div ref="shares" class="rt-chart"></div>
          <details class="rt-table"><summary>{{ text.table }}</summary>
            <div tabindex="0" role="region" :aria-label="text.table"><table>
              <thead><tr><th scope="col">{{ text.time }}</th><th v-for="e in EMOTIONS" :key="e" scope="col">{{ text[e] }}</th></tr></thead>
              <tbody><tr v-for="row in rows" :key="row.at"><th scope="row">{{ names[mode](row.at) }}</th><td v-for="(n, i) in row.counts" :key="i">{{ n || "" }}</td></tr></tbody>
            </table></div>
          </details>
        </section>
        <section class="rt-card" aria-labelledby="rt-week">
          <h2 id="rt-week">{{ text.week }} <small>{{ text.week_hint }}</small></h2>
          <div ref="week" class="rt-chart"></div>
        </section>
      </div>
      <p v-if="room && room.certificate" class="rt-hint">{{ text.certificate(until(room.certificate)) }}</p>
      <ul v-if="charts" class="rt-legend" :aria-label="text.legend">
        <li v-for="emotion in EMOTIONS" :key="emotion" :class="'is-' + emotion"><Glyph :emotion="emotion" />{{ text[emotion] }}</li>
      </ul>
      <Utterances :events="events" :names="roomNames" :more="recorded && !complete && events.length > 0" @more="earlier" />
      <Manage v-if="charts && charts.total" :node="node" :name="roomNames[node]" :operator="operator" />
    </div>`,
};
