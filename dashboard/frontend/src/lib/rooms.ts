// What condition a room is in, and how rooms are ordered.

import type { RoomView } from "@/live";

export type Condition = "ok" | "muted" | "lost" | "starting" | "offline" | "silent" | "unknown" | "recorded";

export const CONDITION_ICONS: Record<Condition, string> = {
  ok: "M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3ZM6 11.5v.5a6 6 0 0 0 12 0v-.5M12 18v3",
  muted:
    "M15 10V6a3 3 0 0 0-5.7-1.3M9 9v3a3 3 0 0 0 4.5 2.6M6 11.5v.5a6 6 0 0 0 9.5 4.9M18 11.5v.5c0 .6-.1 1.2-.3 1.8M12 18v3M4 4l16 16",
  lost: "M12 4L2.8 20h18.4ZM12 10v4.5M12 17.2v.1",
  starting: "M12 4a8 8 0 1 1-8 8",
  offline:
    "M3 9a13 13 0 0 1 4.5-2.8M11 5a13 13 0 0 1 10 4M6.5 12.7a8 8 0 0 1 4-2.2M15 11a8 8 0 0 1 2.5 1.7M9.8 16.2a3.5 3.5 0 0 1 4.4 0M12 19.5v.1M4 3l16 17",
  silent: "M4 12h3l2-4 3 8 2-4h1M18 12h.1M21 12h.1",
  recorded: "M4 12a8 8 0 1 0 2.3-5.6M4 4v4h4M12 8v4.5l3 2",
  unknown: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.1",
};

export function conditionOf(room: RoomView): Condition {
  if (room.recorded_only) return "recorded";
  if (room.availability === "offline") return "offline";
  if (room.availability !== "online") return "unknown";
  if (room.silent) return "silent";
  return room.mic in CONDITION_ICONS ? (room.mic as Condition) : "unknown";
}

/** 0: needs attention. 1: as it should be. 2: there is no device. The server orders all rooms of a large hub likewise. */
function urgency(room: RoomView): number {
  if (room.attention) return 0;
  return room.recorded_only ? 2 : 1;
}

// "Room 2" before "Room 10", whichever language the browser speaks.
const names = new Intl.Collator(undefined, { numeric: true });

/** Rooms with an alert, an episode or a problem first, then by name. */
export function sortedRooms(rooms: Record<string, RoomView>): RoomView[] {
  return Object.values(rooms).sort(
    (a, b) => urgency(a) - urgency(b) || names.compare(a.name, b.name) || a.node.localeCompare(b.node),
  );
}
