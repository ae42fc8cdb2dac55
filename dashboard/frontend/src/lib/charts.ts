// What the charts show, as options for ECharts. Colours come from the style sheet, so they follow dark and light.

import { ScatterChart, BarChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import type { EChartsCoreOption } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

import { text } from "@/i18n";
import { EMOTIONS, symbolOf, type Emotion } from "@/lib/emotions";
import { total, type RoomHistory, type Sum } from "@/lib/history";
import { HOUR_MS, clockTime, dayName, hourName, percent, seconds, shortTime } from "@/lib/times";

echarts.use([ScatterChart, BarChart, AriaComponent, GridComponent, TooltipComponent, CanvasRenderer]);
export { echarts };

/** Below so many utterances a share says little: it is drawn paler. */
const FEW = 3;
/** Below this share nothing besides neutral is worth a mark. */
const RARE = 0.08;
const CALM: readonly Emotion[] = ["neutral", "uncertain"];

interface Palette {
  ink: string;
  soft: string;
  line: string;
  card: string;
  tones: string[];
}

interface TooltipItem {
  value: unknown;
  dataIndex: number;
}

function palette(element: HTMLElement): Palette {
  // A custom property is kept as it is written, `light-dark(...)` and all: only a colour that is used is computed.
  const probe = element.appendChild(document.createElement("i"));
  const get = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = {
    ink: get("--ink"),
    soft: get("--soft"),
    line: get("--line"),
    card: get("--card"),
    tones: EMOTIONS.map((e) => get(`--${e}`)),
  };
  probe.remove();
  return colours;
}

const tooltip = (p: Palette) => ({
  backgroundColor: p.card,
  borderColor: p.line,
  textStyle: { color: p.ink, fontSize: 13 },
  confine: true,
});

const base = (p: Palette, description: string) => ({
  animation: false,
  textStyle: { fontFamily: "Roboto, system-ui, sans-serif", color: p.soft },
  aria: { enabled: true, label: { description } },
  tooltip: tooltip(p),
});

const axis = (p: Palette) => ({
  axisLine: { lineStyle: { color: p.line } },
  axisTick: { show: false },
  axisLabel: { color: p.soft, fontSize: 12, hideOverlap: true },
  splitLine: { lineStyle: { color: p.line } },
});

// "Not sure" is hatched, here as everywhere.
const hatch = (p: Palette) => ({
  symbol: "rect",
  color: p.card,
  dashArrayX: [1, 0],
  dashArrayY: [2, 4],
  rotation: -Math.PI / 4,
});

const symbolStyle = (p: Palette, i: number, opacity: number) =>
  EMOTIONS[i] === "uncertain"
    ? { color: "transparent", borderColor: p.tones[i], borderWidth: 1.6, borderType: [2, 2], opacity }
    : { color: p.tones[i], opacity };

const tip = (head: string, counts: number[], of: number) =>
  [
    `<b>${head}</b> · ${text.heard(of)}`,
    ...EMOTIONS.flatMap((e, k) => {
      const n = counts[k] ?? 0;
      return n ? [`${text[e]} ${percent(n / of)} (${n})`] : [];
    }),
  ].join("<br>");

/** Every utterance of a day: one lane for each emotion, paler where less sure. */
export function dayChart(element: HTMLElement, history: RoomHistory, now: number): EChartsCoreOption {
  const p = palette(element);
  return {
    ...base(p, text.day_alt(history.marks.length)),
    grid: { left: 84, right: 16, top: 10, bottom: 28 },
    xAxis: {
      type: "time",
      min: history.today,
      max: Math.max(now, history.today + HOUR_MS),
      ...axis(p),
      splitLine: { show: false },
      axisLabel: { ...axis(p).axisLabel, formatter: (v: number) => shortTime(v) },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: EMOTIONS.map((e) => text[e]),
      ...axis(p),
      axisLine: { show: false },
      splitLine: { show: true, lineStyle: { color: p.line } },
    },
    tooltip: {
      ...tooltip(p),
      formatter: ({ value }: TooltipItem) => {
        const [at, emotion, confidence, duration] = value as [number, number, number, number];
        return `${text[EMOTIONS[emotion] ?? "uncertain"]} ${percent(confidence / 1000)}<br>${clockTime(at)} · ${seconds(duration)}`;
      },
    },
    series: EMOTIONS.map((emotion, i) => ({
      type: "scatter",
      symbol: symbolOf(emotion),
      symbolSize: history.marks.length > 400 ? 7 : 10,
      data: history.marks
        .filter((mark) => mark[1] === i)
        .map((mark) => ({ value: mark, itemStyle: symbolStyle(p, i, 0.25 + (0.75 * mark[2]) / 1000) })),
    })),
  };
}

/** The share of each emotion in each span of time; `name` names a span. */
export function sharesChart(
  element: HTMLElement,
  sums: Sum[],
  name: (at: number) => string,
): EChartsCoreOption {
  const p = palette(element);
  const totals = sums.map(total);
  return {
    ...base(p, text.shares_alt(sums.length)),
    grid: { left: 44, right: 16, top: 10, bottom: 28 },
    xAxis: { type: "category", data: sums.map((sum) => name(sum.at)), ...axis(p) },
    yAxis: { type: "value", max: 1, ...axis(p), axisLabel: { ...axis(p).axisLabel, formatter: percent } },
    tooltip: {
      ...tooltip(p),
      trigger: "axis",
      axisPointer: { type: "shadow" },
      formatter: (bars: TooltipItem[]) => {
        const i = bars[0]?.dataIndex ?? 0;
        const sum = sums[i];
        return sum ? tip(name(sum.at), sum.counts, totals[i] ?? 0) : "";
      },
    },
    series: EMOTIONS.map((e, k) => ({
      name: text[e],
      type: "bar",
      stack: "share",
      barCategoryGap: "18%",
      barMaxWidth: 46,
      itemStyle: {
        color: p.tones[k],
        borderColor: p.card,
        borderWidth: 1,
        decal: e === "uncertain" ? hatch(p) : undefined,
      },
      data: sums.map((sum, i) => ({
        value: (sum.counts[k] ?? 0) / (totals[i] || 1),
        itemStyle: { opacity: (totals[i] ?? 0) < FEW ? 0.35 : 1 },
      })),
    })),
  };
}

interface Cell {
  value: [hour: number, weekday: number, total: number, counts: number[]];
  share: number;
}

/**
 * The week: in each hour what was heard most besides neutral, larger where it was a larger share. Neutral is nearly
 * always heard most, so a plain winner would say nothing.
 */
export function weekChart(element: HTMLElement, sums: Sum[]): EChartsCoreOption {
  const p = palette(element);
  const widest = Math.min(18, (element.clientWidth - 60) / 24);
  const cells: Cell[][] = EMOTIONS.map(() => []);
  for (const sum of sums) {
    const all = total(sum);
    const felt = sum.counts.map((n, i) => (CALM.includes(EMOTIONS[i] ?? "uncertain") ? 0 : n));
    const most = Math.max(...felt);
    const top = most / all < RARE ? EMOTIONS.indexOf("neutral") : felt.indexOf(most);
    cells[top]?.push({ value: [sum.at % 24, Math.floor(sum.at / 24), all, sum.counts], share: most / all });
  }
  return {
    ...base(p, text.week_alt(sums.length)),
    grid: { left: 44, right: 12, top: 10, bottom: 28 },
    xAxis: {
      type: "category",
      data: Array.from({ length: 24 }, (_, n) => hourName(n)),
      ...axis(p),
      splitLine: { show: false },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: Array.from({ length: 7 }, (_, n) => dayName(n)),
      ...axis(p),
      axisLine: { show: false },
      splitLine: { show: true, lineStyle: { color: p.line } },
    },
    tooltip: {
      ...tooltip(p),
      formatter: ({ value }: TooltipItem) => {
        const [hour, weekday, all, counts] = value as Cell["value"];
        return tip(`${dayName(weekday)} ${hourName(hour)}`, counts, all);
      },
    },
    series: cells.map((cell, i) => ({
      type: "scatter",
      symbol: symbolOf(EMOTIONS[i] ?? "uncertain"),
      data: cell.map(({ value, share }) => ({
        value,
        symbolSize: EMOTIONS[i] === "neutral" ? 5 : Math.min(widest, 7 + 14 * Math.sqrt(share)),
        itemStyle: symbolStyle(p, i, value[2] < FEW ? 0.4 : 1),
      })),
    })),
  };
}
