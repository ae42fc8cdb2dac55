// What was recorded of a room, as the charts need it.

import { call } from "@/api/client";
import type { Utterance } from "@/live";

/** One utterance of a day: [milliseconds since 1970, index of the emotion, confidence in per mille, duration in ms]. */
export type Mark = [at: number, emotion: number, confidence: number, duration: number];

/** Utterances of a span of time, by emotion in the order of EMOTIONS. */
export interface Sum {
  at: number;
  counts: number[];
}

export interface RoomHistory {
  /** Begin of the day shown, milliseconds since 1970. */
  today: number;
  marks: Mark[];
  hours: Sum[];
  /** `at` is 24 * weekday + hour, Monday is 0. */
  week: Sum[];
  days: Sum[];
  total: number;
}

export const total = (sum: Sum) => sum.counts.reduce((a, b) => a + b, 0);

const zone = () => encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone);

export const roomHistory = (node: string) => call<RoomHistory>("GET", `rooms/${node}/history?zone=${zone()}`);

/** The newest utterances before a time, newest first. */
export const utterancesBefore = (node: string, before: number, limit: number) =>
  call<Utterance[]>("GET", `rooms/${node}/utterances?before=${Math.round(before)}&limit=${limit}`);
