// What the server has put into the page: the first page is shown without a further answer.

import type { HubInfo } from "@/api/client";
import type { Patch } from "@/live";

interface First {
  hub: HubInfo;
  /** Rooms as they were when the page was made; null for a guest. */
  live: Patch | null;
}

/** Null where the page was not served by the hub itself, as in development. */
export const first = JSON.parse(document.getElementById("rt-first")?.textContent || "null") as First | null;
