// Every utterance of a day: one lane for each emotion, paler where less sure.

import type { EChartsCoreOption } from "echarts/core";

import { text } from "@/i18n";
import { axis, base, palette, symbolStyle, tooltip, type TooltipItem } from "@/lib/charts/base";
import { EMOTIONS, symbolOf } from "@/lib/emotions";
import type { Span } from "@/lib/period";
import type { Mark } from "@/lib/records";
import { clockTime, percent, seconds, timeOfDay } from "@/lib/times";

export function dayChart(element: HTMLElement, marks: Mark[], span: Span): EChartsCoreOption {
  const p = palette(element);
  return {
    ...base(p, text.day_alt(marks.length)),
    grid: { left: 84, right: 16, top: 10, bottom: 28 },
    xAxis: {
      type: "time",
      min: span.from,
      max: span.to,
      ...axis(p),
      splitLine: { show: false },
      axisLabel: { ...axis(p).axisLabel, formatter: (v: number) => timeOfDay(v) },
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
        const [at, emotion, confidence, duration] = value as Mark;
        return `${text[EMOTIONS[emotion] ?? "uncertain"]} ${percent(confidence / 1000)}<br>${clockTime(at)} · ${seconds(duration)}`;
      },
    },
    series: EMOTIONS.map((emotion, i) => ({
      type: "scatter",
      symbol: symbolOf(emotion),
      symbolSize: marks.length > 400 ? 7 : 10,
      data: marks
        .filter((mark) => mark[1] === i)
        .map((mark) => ({ value: mark, itemStyle: symbolStyle(p, i, 0.25 + (0.75 * mark[2]) / 1000) })),
    })),
  };
}
