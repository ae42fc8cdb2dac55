// How agitated a room sounds in relation to what is usual there, in words.

import { text } from "@/i18n";

/** Below this distance from 0 an arousal is as usual. */
const USUAL = 0.25;

/** A sentence for an arousal of -1 to 1; empty where it is not known. */
export function describeArousal(arousal: number | null | undefined): string {
  if (arousal === undefined || arousal === null) return "";
  if (Math.abs(arousal) < USUAL) return text.arousal_usual;
  return arousal > 0 ? text.arousal_high : text.arousal_low;
}
