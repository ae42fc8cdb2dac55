// What was recorded of a room: calls to the API, and sums of sums.

import { call, type Schemas } from "@/api/client";
import { EMOTIONS } from "@/lib/emotions";
import { filterQuery, type PeriodState, type Span, type View } from "@/lib/period";
import type { Utterance } from "@/live";

export type Period = Schemas["PeriodOut"];
export type Bucket = Schemas["BucketOut"];
export type RoomDay = Schemas["RoomDay"];
/** [begin, index of the emotion, confidence per mille, milliseconds, arousal per mille]. */
export type Mark = Period["marks"][number];
export type Step = "quarter" | "hour" | "day";

export const STEPS: Record<View, Step> = { day: "hour", week: "hour", month: "day" };

export const total = (bucket: { counts: number[] }) => bucket.counts.reduce((a, b) => a + b, 0);

export const timeZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

const iso = (ms: number) => new Date(ms).toISOString();

/** The sums of a span of a room. */
export function periodOf(
  node: string,
  span: Span,
  step: Step,
  filters: URLSearchParams,
  marks = false,
): Promise<Period> {
  const query = new URLSearchParams(filters);
  query.set("from", iso(span.from));
  query.set("to", iso(span.to));
  query.set("step", step);
  query.set("zone", timeZone());
  if (marks) query.set("marks", "true");
  return call<Period>("GET", `rooms/${node}/period?${query}`);
}

export const todayOfAllRooms = () => call<RoomDay[]>("GET", `today?zone=${encodeURIComponent(timeZone())}`);

/** The newest utterances of a span, newest first. */
export function utterancesOf(
  node: string,
  span: Span,
  filters: URLSearchParams,
  limit: number,
): Promise<Utterance[]> {
  const query = new URLSearchParams(filters);
  query.set("from", String(Math.round(span.from)));
  query.set("before", String(Math.round(span.to)));
  query.set("limit", String(limit));
  return call<Utterance[]>("GET", `rooms/${node}/utterances?${query}`);
}

/** Address of the CSV file with exactly what is seen. */
export function csvOf(node: string, span: Span, state: PeriodState): string {
  const query = filterQuery(state);
  query.set("from", iso(span.from));
  query.set("to", iso(span.to));
  return `/api/rooms/${node}/events.csv?${query}`;
}

/** Buckets of hours added up to local days. */
export function byDay(buckets: Bucket[]): Bucket[] {
  const days = new Map<string, Bucket[]>();
  for (const bucket of buckets) {
    const day = new Date(bucket.at).toDateString();
    days.set(day, [...(days.get(day) ?? []), bucket]);
  }
  return [...days.values()].map(addUp);
}

/** One bucket of several: sums, and the mean of arousal weighed by the number of utterances. */
export function addUp(buckets: Bucket[]): Bucket {
  const known = buckets.filter((bucket) => bucket.arousal !== null && total(bucket) > 0);
  const weight = known.reduce((sum, bucket) => sum + total(bucket), 0);
  return {
    at: buckets[0]?.at ?? 0,
    counts: EMOTIONS.map((_, i) => buckets.reduce((sum, bucket) => sum + (bucket.counts[i] ?? 0), 0)),
    arousal: weight
      ? known.reduce((sum, bucket) => sum + (bucket.arousal ?? 0) * total(bucket), 0) / weight
      : null,
  };
}
