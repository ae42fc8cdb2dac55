// Mean arousal over time: the middle is what is usual in the room. A gap is a time without utterances.

import type { EChartsCoreOption } from "echarts/core";

import { text } from "@/i18n";
import { axis, base, palette, tooltip, type TooltipItem } from "@/lib/charts/base";
import { describeArousal, drawnArousal } from "@/lib/arousal";
import type { Bucket } from "@/lib/records";

/** `other` is drawn dashed behind it, bucket by bucket. */
export function arousalChart(
  element: HTMLElement,
  buckets: Bucket[],
  nameOf: (at: number) => string,
  other: Bucket[] = [],
): EChartsCoreOption {
  const p = palette(element);
  const line = (series: Bucket[], color: string, dashed: boolean) => ({
    type: "line",
    symbol: "circle",
    symbolSize: 5,
    showSymbol: series.length < 40,
    connectNulls: false,
    lineStyle: { color, width: 2, type: dashed ? "dashed" : "solid" },
    itemStyle: { color },
    data: series.map(({ arousal }) => (arousal === null ? null : drawnArousal(arousal))),
  });
  return {
    ...base(p, text.arousal_alt(buckets.length)),
    grid: { left: 84, right: 16, top: 12, bottom: 28 },
    xAxis: {
      type: "category",
      data: buckets.map(({ at }) => nameOf(at)),
      ...axis(p),
      axisLine: { onZero: false, lineStyle: { color: p.line } },
    },
    yAxis: {
      type: "value",
      min: -1,
      max: 1,
      interval: 1,
      ...axis(p),
      axisLabel: {
        ...axis(p).axisLabel,
        // Else it touches the first name below the axis.
        verticalAlignMinLabel: "bottom",
        formatter: (v: number) => (v === 0 ? text.axis_usual : v > 0 ? text.axis_high : text.axis_low),
      },
    },
    tooltip: {
      ...tooltip(p),
      trigger: "axis",
      formatter: (points: TooltipItem[]) => {
        const bucket = buckets[points[0]?.dataIndex ?? 0];
        return bucket && bucket.arousal !== null
          ? `<b>${nameOf(bucket.at)}</b><br>${describeArousal(bucket.arousal)} (${bucket.arousal.toFixed(2)})`
          : "";
      },
    },
    series: [line(other, p.soft, true), line(buckets, p.accent, false)],
  };
}
