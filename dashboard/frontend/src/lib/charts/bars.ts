// The emotions of each hour or day, as numbers of utterances or as shares. Every hour has its place, empty ones too.

import type { EChartsCoreOption } from "echarts/core";

import { text } from "@/i18n";
import { FEW, axis, base, hatch, palette, tip, tooltip, type TooltipItem } from "@/lib/charts/base";
import { EMOTIONS } from "@/lib/emotions";
import { total, type Bucket } from "@/lib/records";
import { percent } from "@/lib/times";

export type Measure = "counts" | "shares";

/** `nameOf` names a bucket on the axis. */
export function barsChart(
  element: HTMLElement,
  buckets: Bucket[],
  measure: Measure,
  nameOf: (at: number) => string,
): EChartsCoreOption {
  const p = palette(element);
  const totals = buckets.map(total);
  const shares = measure === "shares";
  const valueAt = (k: number, i: number) => {
    const n = buckets[i]?.counts[k] ?? 0;
    return shares ? n / (totals[i] || 1) : n;
  };
  return {
    ...base(p, text.bars_alt(buckets.length)),
    grid: { left: 44, right: 16, top: 10, bottom: 28 },
    xAxis: { type: "category", data: buckets.map(({ at }) => nameOf(at)), ...axis(p) },
    yAxis: {
      type: "value",
      ...axis(p),
      ...(shares ? { max: 1 } : { minInterval: 1 }),
      axisLabel: { ...axis(p).axisLabel, ...(shares ? { formatter: percent } : {}) },
    },
    tooltip: {
      ...tooltip(p),
      trigger: "axis",
      axisPointer: { type: "shadow" },
      formatter: (bars: TooltipItem[]) => {
        const i = bars[0]?.dataIndex ?? 0;
        const bucket = buckets[i];
        return bucket && totals[i] ? tip(nameOf(bucket.at), bucket.counts, totals[i] ?? 0) : "";
      },
    },
    series: EMOTIONS.map((e, k) => ({
      name: text[e],
      type: "bar",
      stack: "emotions",
      barCategoryGap: "18%",
      barMaxWidth: 46,
      cursor: "pointer",
      itemStyle: {
        color: p.tones[k],
        borderColor: p.card,
        borderWidth: 1,
        decal: e === "uncertain" ? hatch(p) : undefined,
      },
      data: buckets.map((_, i) => ({
        value: valueAt(k, i),
        itemStyle: { opacity: shares && (totals[i] ?? 0) < FEW ? 0.35 : 1 },
      })),
    })),
  };
}
