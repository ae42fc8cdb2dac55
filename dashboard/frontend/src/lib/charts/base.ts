// What all charts share: the parts of ECharts that are used, and colours from the style sheet, for dark and light.

import { BarChart, LineChart, ScatterChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

import { text } from "@/i18n";
import { EMOTIONS } from "@/lib/emotions";
import { percent } from "@/lib/times";

echarts.use([
  ScatterChart,
  BarChart,
  LineChart,
  AriaComponent,
  GridComponent,
  TooltipComponent,
  CanvasRenderer,
]);
export { echarts };

/** Below so many utterances a share says little: it is drawn paler. */
export const FEW = 3;

export interface Palette {
  ink: string;
  soft: string;
  line: string;
  card: string;
  accent: string;
  tones: string[];
}

export interface TooltipItem {
  value: unknown;
  dataIndex: number;
}

export function palette(element: HTMLElement): Palette {
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
    accent: get("--accent"),
    tones: EMOTIONS.map((e) => get(`--${e}`)),
  };
  probe.remove();
  return colours;
}

export const tooltip = (p: Palette) => ({
  backgroundColor: p.card,
  borderColor: p.line,
  textStyle: { color: p.ink, fontSize: 13 },
  confine: true,
});

export const base = (p: Palette, description: string) => ({
  animation: false,
  textStyle: { fontFamily: "Roboto, system-ui, sans-serif", color: p.soft },
  aria: { enabled: true, label: { description } },
  tooltip: tooltip(p),
});

export const axis = (p: Palette) => ({
  axisLine: { lineStyle: { color: p.line } },
  axisTick: { show: false },
  axisLabel: { color: p.soft, fontSize: 12, hideOverlap: true },
  splitLine: { lineStyle: { color: p.line } },
});

// "Not sure" is hatched, here as everywhere.
export const hatch = (p: Palette) => ({
  symbol: "rect",
  color: p.card,
  dashArrayX: [1, 0],
  dashArrayY: [2, 4],
  rotation: -Math.PI / 4,
});

export const symbolStyle = (p: Palette, i: number, opacity: number) =>
  EMOTIONS[i] === "uncertain"
    ? { color: "transparent", borderColor: p.tones[i], borderWidth: 1.6, borderType: [2, 2], opacity }
    : { color: p.tones[i], opacity };

export const tip = (head: string, counts: number[], of: number) =>
  [
    `<b>${head}</b> · ${text.heard(of)}`,
    ...EMOTIONS.flatMap((e, k) => {
      const n = counts[k] ?? 0;
      return n ? [`${text[e]} ${percent(n / of)} (${n})`] : [];
    }),
  ].join("<br>");
