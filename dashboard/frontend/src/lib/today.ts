// The day of each room in one sentence that a person would say, from quarters of an hour.

import { computed, shallowRef } from "vue";

import { hub } from "@/hub";
import { text } from "@/i18n";
import { EMOTIONS, type Emotion } from "@/lib/emotions";
import { USUAL_AROUSAL } from "@/lib/arousal";
import { usePolling } from "@/lib/poll";
import { addUp, todayOfAllRooms, total, type Bucket, type RoomDay } from "@/lib/records";
import { HOUR_MS, timeOfDay } from "@/lib/times";

const REFRESH_MS = 30_000;
/** An emotion with this share of the sure utterances is worth a word. */
const OFTEN = 0.25;
const FEW = 4;
/** From this mean of the day on, a room is agitated as a whole. */
const DAY_AROUSAL = 0.08;
/** What was so long ago is not how it is now. */
const RECENT_MS = HOUR_MS;
const QUARTER_MS = HOUR_MS / 4;

/** The days of all rooms by node id, kept up to date while the component is there. */
export function useToday() {
  const days = shallowRef<RoomDay[]>([]);
  usePolling(() => {
    if (!hub.recorded) return;
    todayOfAllRooms().then(
      (found) => (days.value = found),
      () => undefined,
    );
  }, REFRESH_MS);
  return computed(() => new Map(days.value.map((day) => [day.node, day.buckets])));
}

/** When the run of quarters that ends now began: 1 more agitated than usual, -1 calmer; undefined: neither. */
export function runOf(buckets: Bucket[], now: number): { sign: 1 | -1; since: number } | undefined {
  const heard = buckets.filter((bucket) => bucket.arousal !== null && bucket.at <= now);
  const last = heard.at(-1);
  if (!last || now - last.at > RECENT_MS + QUARTER_MS) return undefined;
  const signOf = ({ arousal }: Bucket) =>
    Math.abs(arousal ?? 0) < USUAL_AROUSAL ? 0 : Math.sign(arousal ?? 0);
  const sign = signOf(last);
  if (sign === 0) return undefined;
  const before = heard.findLastIndex((bucket) => signOf(bucket) !== sign);
  return { sign: sign > 0 ? 1 : -1, since: heard[before + 1]?.at ?? last.at };
}

function frequent(sum: Bucket): Emotion | undefined {
  const sure = EMOTIONS.filter((emotion) => emotion !== "uncertain");
  const all = sure.reduce((n, emotion) => n + (sum.counts[EMOTIONS.indexOf(emotion)] ?? 0), 0);
  return sure
    .filter((emotion) => emotion !== "neutral")
    .map((emotion) => [sum.counts[EMOTIONS.indexOf(emotion)] ?? 0, emotion] as const)
    .filter(([n]) => n >= FEW && n / all >= OFTEN)
    .sort((a, b) => b[0] - a[0])[0]?.[1];
}

const dayOf = (ms: number) => new Date(ms).toDateString();

/**
 * "Mostly calm today, often happy; more agitated than usual since 16:10". Empty where nothing is recorded, and where
 * something was heard today, at `heard`, that is not in the buckets yet.
 */
export function sentenceOf(buckets: Bucket[] | undefined, now: number, heard?: number): string {
  if (!hub.recorded) return "";
  const sum = addUp(buckets ?? []);
  if (!total(sum)) return heard !== undefined && dayOf(heard) === dayOf(now) ? "" : text.today_none;
  const mean = sum.arousal ?? 0;
  const day =
    mean >= DAY_AROUSAL ? text.today_agitated : mean <= -DAY_AROUSAL ? text.today_calm : text.today_usual;
  const emotion = frequent(sum);
  const run = runOf(buckets ?? [], now);
  const first = [day, ...(emotion ? [text.often(text[emotion])] : [])].join(", ");
  if (!run) return `${first}.`;
  const since = timeOfDay(run.since);
  return `${first}; ${run.sign > 0 ? text.agitated_since(since) : text.calmer_since(since)}.`;
}
