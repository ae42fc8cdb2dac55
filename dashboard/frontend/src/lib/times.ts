// Times in the reader's time zone and language. All arguments are milliseconds since 1970 unless stated.

import { locale, text } from "@/i18n";

/** Made when it is first used: each takes about a millisecond, and a page uses a few of them. */
function format(options: Intl.DateTimeFormatOptions): (ms: number) => string {
  let made: Intl.DateTimeFormat | undefined;
  return (ms) => (made ??= new Intl.DateTimeFormat(locale, options)).format(ms);
}
const clock = format({ hour: "numeric", minute: "2-digit", second: "2-digit" });
const short = format({ hour: "numeric", minute: "2-digit" });
const day = format({ day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });
const weekday = format({ weekday: "short", timeZone: "UTC" });
const hourOnly = format({ hour: "numeric", timeZone: "UTC" });

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

const isToday = (ms: number) => new Date(ms).toDateString() === new Date().toDateString();

/** Time of day with seconds; with the date when it was not today. */
export const clockTime = (ms: number) => (isToday(ms) ? clock : day)(ms);
/** Time of day without seconds; with the date when it was not today. */
export const shortTime = (ms: number) => (isToday(ms) ? short : day)(ms);
export const fullTime = format({ dateStyle: "full", timeStyle: "long" });
export const mediumDate = format({ dateStyle: "medium" });
export const isoTime = (ms: number) => new Date(ms).toISOString();
/** Time of day without seconds, whatever the day. */
export const timeOfDay = short;
export const longDay = format({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
export const monthName = format({ month: "long", year: "numeric" });
export const weekdayDate = format({ weekday: "short", day: "numeric" });
export const shortDay = format({ day: "numeric", month: "short" });

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
export const dayName = (n: number) => weekday(Date.UTC(1970, 0, 5 + n));
export const hourName = (n: number) => hourOnly(Date.UTC(1970, 0, 5, n));

/** A share from 0 to 1 in per cent. */
export const percent = (share: number) => `${Math.round(share * 100)} %`;
/** The same as a CSS length. */
export const cssPercent = (share: number) => `${Math.round(share * 100)}%`;
