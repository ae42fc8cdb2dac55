// A day, a week or a month of the reader's calendar, with filters: what the address of a room's page says.

import type { LocationQuery, LocationQueryRaw } from "vue-router";

import { USUAL_AROUSAL } from "@/lib/arousal";
import { EMOTIONS, isEmotion, type Emotion } from "@/lib/emotions";

export const VIEWS = ["day", "week", "month"] as const;
export type View = (typeof VIEWS)[number];

export const AROUSALS = ["high", "usual", "low"] as const;
export type ArousalFilter = (typeof AROUSALS)[number];

/** A span of time, milliseconds since 1970, the end not included. */
export interface Span {
  from: number;
  to: number;
}

export interface PeriodState {
  view: View;
  /** Local midnight of a day in the period. */
  day: Date;
  emotions: Emotion[];
  /** The lowest confidence wanted, 0 to 1. */
  confidence: number;
  arousal?: ArousalFilter;
  /** "previous", the node id of another room, or empty. */
  compare: string;
  /** What was clicked in a chart. */
  selected?: Span;
}

const midnight = (at: Date, days = 0) => new Date(at.getFullYear(), at.getMonth(), at.getDate() + days);

/** The period around a day: weeks begin on Monday. */
export function spanOf(view: View, day: Date): Span {
  if (view === "day") return { from: +midnight(day), to: +midnight(day, 1) };
  if (view === "week") {
    const monday = -((day.getDay() + 6) % 7);
    return { from: +midnight(day, monday), to: +midnight(day, monday + 7) };
  }
  return {
    from: +new Date(day.getFullYear(), day.getMonth(), 1),
    to: +new Date(day.getFullYear(), day.getMonth() + 1, 1),
  };
}

/** A day in the period before (-1) or after (1). */
export function neighbour(view: View, day: Date, direction: -1 | 1): Date {
  if (view === "month") return new Date(day.getFullYear(), day.getMonth() + direction, 1);
  return midnight(day, direction * (view === "day" ? 1 : 7));
}

/** The days that a calendar of the month shows: whole weeks. */
export function calendarDays(day: Date): Date[] {
  const { from, to } = spanOf("month", day);
  const first = new Date(spanOf("week", new Date(from)).from);
  const weeks = Math.round((spanOf("week", new Date(to - 1)).to - +first) / (7 * 86_400_000));
  return Array.from({ length: 7 * weeks }, (_, n) => midnight(first, n));
}

/** A date as in addresses and date fields: 2026-11-24. */
export function dateText(day: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

function dateFrom(text: unknown): Date | undefined {
  const found = /^(\d{4})-(\d\d)-(\d\d)$/.exec(String(text));
  if (!found) return undefined;
  const day = new Date(Number(found[1]), Number(found[2]) - 1, Number(found[3]));
  return dateText(day) === text ? day : undefined;
}

const oneOf = <T extends string>(known: readonly T[], word: unknown) =>
  known.find((candidate) => candidate === word);

/** Reads the query of an address; what cannot be read is left at its default. */
export function fromQuery(query: LocationQuery, today: Date): PeriodState {
  const confidence = Number(query.confidence);
  const [from, to] = String(query.selected ?? "")
    .split("-")
    .map(Number);
  return {
    view: oneOf(VIEWS, query.view) ?? "day",
    day: dateFrom(query.date) ?? midnight(today),
    emotions: String(query.emotion ?? "")
      .split(",")
      .filter(isEmotion),
    confidence: confidence > 0 && confidence <= 100 ? confidence / 100 : 0,
    arousal: oneOf(AROUSALS, query.arousal),
    compare: typeof query.compare === "string" ? query.compare : "",
    selected: from && to && from < to ? { from, to } : undefined,
  };
}

/** The same as a query, without what is at its default. */
export function toQuery(state: PeriodState, today: Date): LocationQueryRaw {
  const query: LocationQueryRaw = {};
  if (state.view !== "day") query.view = state.view;
  if (+state.day !== +midnight(today)) query.date = dateText(state.day);
  if (state.emotions.length && state.emotions.length < EMOTIONS.length)
    query.emotion = state.emotions.join(",");
  if (state.confidence) query.confidence = String(Math.round(100 * state.confidence));
  if (state.arousal) query.arousal = state.arousal;
  if (state.compare) query.compare = state.compare;
  if (state.selected) query.selected = `${state.selected.from}-${state.selected.to}`;
  return query;
}

export const isFiltered = (state: PeriodState) =>
  Boolean(state.emotions.length || state.confidence || state.arousal);

/** The filters as parameters of the API. */
export function filterQuery(state: PeriodState): URLSearchParams {
  const query = new URLSearchParams();
  for (const emotion of state.emotions) query.append("emotion", emotion);
  if (state.confidence) query.set("confidence", String(state.confidence));
  if (state.arousal === "high" || state.arousal === "usual")
    query.set("arousal_from", String(state.arousal === "high" ? USUAL_AROUSAL : -USUAL_AROUSAL));
  if (state.arousal === "low" || state.arousal === "usual")
    query.set("arousal_to", String(state.arousal === "low" ? -USUAL_AROUSAL : USUAL_AROUSAL));
  return query;
}

/** Whether an utterance is one that the filters want. */
export function isWanted(
  state: PeriodState,
  utterance: { emotion: Emotion; confidence: number; arousal?: number | null },
): boolean {
  if (state.emotions.length && !state.emotions.includes(utterance.emotion)) return false;
  if (utterance.confidence < state.confidence) return false;
  if (!state.arousal) return true;
  const { arousal } = utterance;
  if (arousal === undefined || arousal === null) return false;
  if (state.arousal === "high") return arousal >= USUAL_AROUSAL;
  return state.arousal === "low" ? arousal <= -USUAL_AROUSAL : Math.abs(arousal) <= USUAL_AROUSAL;
}
