// Times in the reader's time zone and language. All arguments are milliseconds since 1970 unless stated.

import { locale, text } from "@/i18n";

const clock = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit", second: "2-digit" });
const short = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(locale, {
  day: "numeric",
  month: "short",
  hour: "numeric",
  minute: "2-digit",
});
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });
const medium = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
const weekday = new Intl.DateTimeFormat(locale, { weekday: "short", timeZone: "UTC" });
const long = new Intl.DateTimeFormat(locale, {
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
});
const month = new Intl.DateTimeFormat(locale, { month: "long", year: "numeric" });
const weekdayDay = new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric" });
const dayOnly = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const hourOnly = new Intl.DateTimeFormat(locale, { hour: "numeric", timeZone: "UTC" });

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

const isToday = (ms: number) => new Date(ms).toDateString() === new Date().toDateString();

/** Time of day with seconds; with the date when it was not today. */
export const clockTime = (ms: number) => (isToday(ms) ? clock : day).format(ms);
/** Time of day without seconds; with the date when it was not today. */
export const shortTime = (ms: number) => (isToday(ms) ? short : day).format(ms);
export const fullTime = (ms: number) => full.format(ms);
export const mediumDate = (ms: number) => medium.format(ms);
export const isoTime = (ms: number) => new Date(ms).toISOString();
/** Time of day without seconds, whatever the day. */
export const timeOfDay = (ms: number) => short.format(ms);
export const longDay = (ms: number) => long.format(ms);
export const monthName = (ms: number) => month.format(ms);
export const weekdayDate = (ms: number) => weekdayDay.format(ms);
export const shortDay = (ms: number) => dayOnly.format(ms);

/** "12 s ago", "4 min ago", then the time of day. */
export function ago(ms: number, now: number): string {
  const s = Math.max(0, Math.round((now - ms) / 1000));
  if (s < 5) return text.now;
  if (s < 60) return text.seconds(s);
  if (s < 3600) return text.minutes(Math.floor(s / 60));
  return shortTime(ms);
}

/** "for 12 s", "for 4 min", then "since 10:32". */
export function lasting(ms: number, now: number): string {
  const s = Math.max(1, Math.round((now - ms) / 1000));
  if (s < 60) return text.for_seconds(s);
  if (s < 3600) return text.for_minutes(Math.floor(s / 60));
  return `${text.since} ${shortTime(ms)}`;
}

/** A duration in milliseconds as seconds with one decimal. */
export const seconds = (ms: number) =>
  `${(ms / 1000).toLocaleString(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 })} s`;

/** Name of a weekday; 0 is Monday (1970-01-05 was one). */
export const dayName = (n: number) => weekday.format(Date.UTC(1970, 0, 5 + n));
export const hourName = (n: number) => hourOnly.format(Date.UTC(1970, 0, 5, n));

/** A share from 0 to 1 in per cent. */
export const percent = (share: number) => `${Math.round(share * 100)} %`;
/** The same as a CSS length. */
export const cssPercent = (share: number) => `${Math.round(share * 100)}%`;
