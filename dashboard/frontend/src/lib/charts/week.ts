// A week: in each hour what was heard most besides neutral, larger where it was a larger share. Neutral is nearly
// always heard most, so a plain winner would say nothing.

import type { EChartsCoreOption } from "echarts/core";

import { text } from "@/i18n";
import { FEW, axis, base, palette, symbolStyle, tip, tooltip, type TooltipItem } from "@/lib/charts/base";
import { EMOTIONS, symbolOf, type Emotion } from "@/lib/emotions";
import { total, type Bucket } from "@/lib/records";
import { hourName, weekdayDate } from "@/lib/times";

/** Below this share nothing besides neutral is worth a mark. */
const RARE = 0.08;
const CALM: readonly Emotion[] = ["neutral", "uncertain"];

interface Cell {
  value: [hour: number, day: number, at: number, counts: number[]];
  all: number;
  share: number;
}

/** `days` are the local midnights of the week. */
export function weekChart(element: HTMLElement, buckets: Bucket[], days: number[]): EChartsCoreOption {
  const p = palette(element);
  const widest = Math.min(18, (element.clientWidth - 80) / 24);
  const cells: Cell[][] = EMOTIONS.map(() => []);
  for (const { at, counts } of buckets) {
    const all = total({ counts });
    if (!all) continue;
    const felt = counts.map((n, i) => (CALM.includes(EMOTIONS[i] ?? "uncertain") ? 0 : n));
    const most = Math.max(...felt);
    const top = most / all < RARE ? EMOTIONS.indexOf("neutral") : felt.indexOf(most);
    const day = days.findLastIndex((midnight) => midnight <= at);
    cells[top]?.push({ value: [new Date(at).getHours(), day, at, counts], all, share: most / all });
  }
  return {
    ...base(p, text.week_alt(cells.flat().length)),
    grid: { left: 72, right: 12, top: 10, bottom: 28 },
    xAxis: {
      type: "category",
      data: Array.from({ length: 24 }, (_, n) => hourName(n)),
      ...axis(p),
      splitLine: { show: false },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: days.map(weekdayDate),
      ...axis(p),
      axisLine: { show: false },
      splitLine: { show: true, lineStyle: { color: p.line } },
    },
    tooltip: {
      ...tooltip(p),
      formatter: ({ value }: TooltipItem) => {
        const [hour, , at, counts] = value as Cell["value"];
        return tip(`${weekdayDate(at)} ${hourName(hour)}`, counts, total({ counts }));
      },
    },
    series: cells.map((cell, i) => ({
      type: "scatter",
      symbol: symbolOf(EMOTIONS[i] ?? "uncertain"),
      data: cell.map(({ value, all, share }) => ({
        value,
        symbolSize: EMOTIONS[i] === "neutral" ? 5 : Math.min(widest, 7 + 14 * Math.sqrt(share)),
        itemStyle: symbolStyle(p, i, all < FEW ? 0.4 : 1),
      })),
    })),
  };
}
