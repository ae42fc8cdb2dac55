// Times in the browser's zone and language.

import { locale, text } from "roomtone/text.js";

const clock = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit", second: "2-digit" });
const short = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });

const weekday = new Intl.DateTimeFormat(locale, { weekday: "short", timeZone: "UTC" });
const dayOnly = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const hourOnly = new Intl.DateTimeFormat(locale, { hour: "numeric", timeZone: "UTC" });

const isToday = (ms) => new Date(ms).toDateString() === new Date().toDateString();

export const clockTime = (ms) => (isToday(ms) ? clock : day).format(ms);
export const shortTime = (ms) => (isToday(ms) ? short : day).format(ms);
export const fullTime = (ms) => full.format(ms);
export const isoTime = (ms) => new Date(ms).toISOString();

// "12 s ago", "4 min ago", then the time of day.
export function ago(ms, now) {
  const s = Math.max(0, Math.round((now - ms) / 1000));
  if (s < 5) return text.now;
  if (s < 60) return text.seconds(s);
  if (s < 3600) return text.minutes(Math.floor(s / 60));
  return shortTime(ms);
}

// "for 12 s", "for 4 min", then "since 10:32".
export function lasting(ms, now) {
  const s = Math.max(1, Math.round((now - ms) / 1000));
  if (s < 60) return text.for_seconds(s);
  if (s < 3600) return text.for_minutes(Math.floor(s / 60));
  return `${text.since} ${shortTime(ms)}`;
}

export const seconds = (ms) =>
  `${(ms / 1000).toLocaleString(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 })} s`;

// Monday is 0; 5 January 1970 was a Monday.
export const dayName = (n) => weekday.format(Date.UTC(1970, 0, 5 + n));
export const hourName = (n) => hourOnly.format(Date.UTC(1970, 0, 5, n));
export const shortDay = (ms) => dayOnly.format(ms);

export const percent = (share) => `${Math.round(share * 100)} %`;
