// What is different from what is usual in a room, in one sentence.

import { text } from "@/i18n";
import { EMOTIONS } from "@/lib/emotions";
import { addUp, total, type Period } from "@/lib/records";
import { DAY_MS, percent } from "@/lib/times";

/** Fewer days of data than these make nothing usual, and fewer utterances nothing unusual. */
const ENOUGH_DAYS = 5;
const ENOUGH = 10;
/** How far a share or number must be from the usual one to be worth a word. */
const SHARE = 0.1;
const FACTOR = 1.3;

/** Empty where nothing can be said. */
export function describeUsual(period: Period, now: number): string {
  const { usual } = period;
  const sum = addUp(period.buckets);
  const all = total(sum);
  if (!usual || usual.days < ENOUGH_DAYS) return "";
  const days = (period.end - period.begin) / DAY_MS;
  const expected = Math.round(usual.per_day * days);
  const parts: string[] = [];
  // A period that is not over has fewer in any case.
  if (period.end <= now && expected >= ENOUGH) {
    if (all > expected * FACTOR) parts.push(text.more_utterances(all, expected));
    else if (all < expected / FACTOR) parts.push(text.fewer_utterances(all, expected));
  }
  if (all >= ENOUGH) {
    const [most] = EMOTIONS.map((emotion, i) => {
      const share = (sum.counts[i] ?? 0) / all;
      return { emotion, share, before: usual.shares[i] ?? 0 };
    })
      .filter(({ emotion }) => emotion !== "uncertain")
      .sort((a, b) => Math.abs(b.share - b.before) - Math.abs(a.share - a.before));
    if (most && Math.abs(most.share - most.before) >= SHARE)
      parts.push(text.share_differs(text[most.emotion], percent(most.share), percent(most.before)));
  }
  return parts.length ? parts.join(" ") : all >= ENOUGH ? text.as_usual : "";
}
