// What the tile of a room shows, the same on the first page and on a display on the wall.

import type { Bucket } from "@/lib/records";
import { sentenceOf, useToday } from "@/lib/today";
import { isLost, live, type RoomView, type SoundLevel } from "@/live";

export interface TileProps {
  room: RoomView;
  level?: SoundLevel;
  /** Milliseconds since 1970, by the server's clock. */
  now: number;
  /** Without a broker nothing is known of its condition. */
  stale: boolean;
  linked?: boolean;
  operator: boolean;
  /** The day in words. */
  sentence?: string;
  /** Quarters of an hour of today. */
  day?: Bucket[];
}

/** Returns what `RoomTile` needs to know of a room, to be bound to it; `operator` is who may mute the room there. */
export function useTiles(operator: () => boolean): (room: RoomView) => TileProps {
  const today = useToday();
  return (room) => {
    const day = today.value.get(room.node);
    const level = live.levels[room.node];
    return {
      room,
      ...(level && { level }),
      now: live.now,
      stale: isLost.value,
      linked: true,
      operator: operator(),
      sentence: room.recorded_only && !day ? "" : sentenceOf(day, live.now, room.strip.at(-1)?.at),
      ...(day && { day }),
    };
  };
}
