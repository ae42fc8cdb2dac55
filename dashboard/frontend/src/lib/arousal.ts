// How agitated a room sounds in relation to what is usual there, in words.

import { text } from "@/i18n";

/** Below this distance from 0 an arousal is as usual; an episode begins at 0.2. */
export const USUAL_AROUSAL = 0.12;
/** Where lines and scales end: a mean of utterances rarely reaches further. */
export const DRAWN_AROUSAL = 0.5;

/** An arousal of -1 to 1 on lines and scales, -1 to 1 from end to end. */
export const drawnArousal = (arousal: number) => Math.max(-1, Math.min(1, arousal / DRAWN_AROUSAL));

/** Whether an arousal of -1 to 1 is not as usual. */
export const isUnusual = (arousal: number | null | undefined) => Math.abs(arousal ?? 0) >= USUAL_AROUSAL;

/** A sentence for an arousal of -1 to 1; empty where it is not known. */
export function describeArousal(arousal: number | null | undefined): string {
  if (arousal === undefined || arousal === null) return "";
  if (!isUnusual(arousal)) return text.arousal_usual;
  return arousal > 0 ? text.arousal_high : text.arousal_low;
}
