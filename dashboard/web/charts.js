// Options for ECharts. Colours come from the style sheet and follow the dark and light theme.

import { EMOTIONS, symbolOf } from "roomtone/glyph.js";
import { text } from "roomtone/text.js";
import { clockTime, dayName, hourName, percent, seconds, shortDay, shortTime } from "roomtone/times.js";

const FEW = 3;
const RARE = 0.08;

function palette(element) {
  // A custom property is not resolved (`light-dark(...)`): only a colour in use is computed.
  const probe = element.appendChild(document.createElement("i"));
  const get = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = { ink: get("--ink"), soft: get("--soft"), line: get("--line"), card: get("--card"), tones: EMOTIONS.map((e) => get(`--${e}`)) };
  probe.remove();
  return colours;
}

const base = (p, description) => ({
  animation: false,
  textStyle: { fontFamily: "Roboto, system-ui, sans-serif", color: p.soft },
  aria: { enabled: true, label: { description } },
  tooltip: { backgroundColor: p.card, borderColor: p.line, textStyle: { color: p.ink, fontSize: 13 }, confine: true },
});

const axis = (p) => ({
  axisLine: { lineStyle: { color: p.line } },
  axisTick: { show: false },
  axisLabel: { color: p.soft, fontSize: 12, hideOverlap: true },
  splitLine: { lineStyle: { color: p.line } },
});

// Uncertain is hatched, as everywhere.
const hatch = (p) => ({ symbol: "rect", color: p.card, dashArrayX: [1, 0], dashArrayY: [2, 4], rotation: -Math.PI / 4 });

const symbolStyle = (p, i, opacity) =>
  EMOTIONS[i] === "uncertain"
    ? { color: "transparent", borderColor: p.tones[i], borderWidth: 1.6, borderType: [2, 2], opacity }
    : { color: p.tones[i], opacity };

// Every utterance of today: one lane for each emotion, paler where less sure.
export function day(element, charts, now) {
  const p = palette(element);
  const data = EMOTIONS.map((_, i) => charts.marks.filter((mark) => mark[1] === i));
  return {
    ...base(p, text.day_alt(charts.marks.length)),
    grid: { left: 84, right: 16, top: 10, bottom: 28 },
    xAxis: { type: "time", min: charts.today, max: Math.max(now, charts.today + 3_600_000), ...axis(p), splitLine: { show: false }, axisLabel: { ...axis(p).axisLabel, formatter: (v) => shortTime(v) } },
    yAxis: { type: "category", inverse: true, data: EMOTIONS.map((e) => text[e]), ...axis(p), axisLine: { show: false }, splitLine: { show: true, lineStyle: { color: p.line } } },
    tooltip: { ...base(p).tooltip, formatter: ({ value }) => `${text[EMOTIONS[value[1]]]} ${percent(value[2] / 1000)}<br>${clockTime(value[0])} · ${seconds(value[3])}` },
    series: data.map((marks, i) => ({
      type: "scatter",
      symbol: symbolOf(EMOTIONS[i]),
      symbolSize: charts.marks.length > 400 ? 7 : 10,
      data: marks.map((mark) => ({ value: mark, itemStyle: symbolStyle(p, i, 0.25 + (0.75 * mark[2]) / 1000) })),
    })),
  };
}

// The share of each emotion, by hour or by day.
export function shares(element, sums, name) {
  const p = palette(element);
  const totals = sums.map((sum) => sum.counts.reduce((a, b) => a + b, 0));
  return {
    ...base(p, text.shares_alt(sums.length)),
    grid: { left: 44, right: 16, top: 10, bottom: 28 },
    xAxis: { type: "category", data: sums.map((sum) => name(sum.at)), ...axis(p) },
    yAxis: { type: "value", max: 1, ...axis(p), axisLabel: { ...axis(p).axisLabel, formatter: percent } },
    tooltip: {
      ...base(p).tooltip,
      trigger: "axis",
      axisPointer: { type: "shadow" },
      formatter: (bars) => {
        const i = bars[0].dataIndex;
        const lines = EMOTIONS.map((e, k) => (sums[i].counts[k] ? `${text[e]} ${percent(sums[i].counts[k] / totals[i])} (${sums[i].counts[k]})` : "")).filter(Boolean);
        return [`<b>${name(sums[i].at)}</b> · ${text.heard(totals[i])}`, ...lines].join("<br>");
      },
    },
    series: EMOTIONS.map((e, k) => ({
      name: text[e],
      type: "bar",
      stack: "share",
      barCategoryGap: "18%",
      barMaxWidth: 46,
      itemStyle: { color: p.tones[k], borderColor: p.card, borderWidth: 1, decal: e === "uncertain" ? hatch(p) : undefined },
      data: sums.map((sum, i) => ({ value: sum.counts[k] / totals[i], itemStyle: { opacity: totals[i] < FEW ? 0.35 : 1 } })),
    })),
  };
}

// The week: for each hour the most frequent emotion except neutral, with a size by its share. Neutral is nearly always
// the most frequent and would hide all others.
export function week(element, sums) {
  const p = palette(element);
  const widest = Math.min(18, (element.clientWidth - 60) / 24);
  const cells = EMOTIONS.map(() => []);
  for (const { at, counts } of sums) {
    const total = counts.reduce((a, b) => a + b, 0);
    const felt = counts.map((n, i) => (["neutral", "uncertain"].includes(EMOTIONS[i]) ? 0 : n));
    const most = Math.max(...felt);
    const top = most / total < RARE ? EMOTIONS.indexOf("neutral") : felt.indexOf(most);
    cells[top].push({ value: [at % 24, Math.floor(at / 24), total, counts], share: most / total });
  }
  return {
    ...base(p, text.week_alt(sums.length)),
    grid: { left: 44, right: 12, top: 10, bottom: 28 },
    xAxis: { type: "category", data: [...Array(24).keys()].map(hourName), ...axis(p), splitLine: { show: false } },
    yAxis: { type: "category", inverse: true, data: [...Array(7).keys()].map(dayName), ...axis(p), axisLine: { show: false }, splitLine: { show: true, lineStyle: { color: p.line } } },
    tooltip: {
      ...base(p).tooltip,
      formatter: ({ value: [hour, weekday, total, counts] }) => {
        const lines = EMOTIONS.map((e, k) => (counts[k] ? `${text[e]} ${percent(counts[k] / total)} (${counts[k]})` : "")).filter(Boolean);
        return [`<b>${dayName(weekday)} ${hourName(hour)}</b> · ${text.heard(total)}`, ...lines].join("<br>");
      },
    },
    series: cells.map((cell, i) => ({
      type: "scatter",
      symbol: symbolOf(EMOTIONS[i]),
      data: cell.map(({ value, share }) => ({
        value,
        symbolSize: EMOTIONS[i] === "neutral" ? 5 : Math.min(widest, 7 + 14 * Math.sqrt(share)),
        itemStyle: symbolStyle(p, i, value[2] < FEW ? 0.4 : 1),
      })),
    })),
  };
}

export const names = { hours: (at) => shortTime(at), days: (at) => shortDay(at) };
