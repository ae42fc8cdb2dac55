import { beforeEach, describe, expect, it } from "vitest";

import { apply, live, onUtterances, type RoomView, type Utterance } from "@/live";

const room = (node: string, name = node): RoomView => ({
  node,
  name,
  availability: "online",
  mic: "ok",
  strip: [],
});
const utterance = (id: string, at: number): Utterance => ({
  id,
  node: "kitchen",
  at,
  emotion: "neutral",
  confidence: 0.8,
  duration: 1200,
});

describe("live state", () => {
  beforeEach(() => apply({ rooms: [] }, true));

  it("replaces rooms by what the server sends, and removes those that are gone", () => {
    apply({ rooms: [room("kitchen", "Kitchen"), room("hall")] });
    apply({ rooms: [room("kitchen", "Big kitchen")], gone: ["hall"] });
    expect(Object.keys(live.rooms)).toEqual(["kitchen"]);
    expect(live.rooms.kitchen?.name).toBe("Big kitchen");
  });

  it("keeps every utterance once, the newest first", () => {
    const seen: string[] = [];
    const stop = onUtterances((events) => seen.push(...events.map((e) => e.id)));
    apply({ events: [utterance("a", 1), utterance("b", 3)] });
    apply({ events: [utterance("b", 3), utterance("c", 2)] });
    stop();
    apply({ events: [utterance("d", 4)] });
    expect(live.events.slice(0, 4).map((e) => e.id)).toEqual(["d", "b", "c", "a"]);
    expect(seen).toEqual(["a", "b", "c"]);
  });

  it("keeps a room that is the same in the first answer: its tile is not drawn again", () => {
    apply({ rooms: [room("kitchen"), room("hall")] }, true);
    const { kitchen, hall } = live.rooms;
    apply({ rooms: [room("kitchen"), room("hall", "Big hall"), room("attic")] }, true);
    expect(live.rooms.kitchen).toBe(kitchen);
    expect(live.rooms.hall).not.toBe(hall);
    expect(Object.values(live.rooms).map(({ name }) => name)).toEqual(["kitchen", "Big hall", "attic"]);
  });

  it("counts time by the server's clock", () => {
    apply({ now: Date.now() + 3_600_000 });
    expect(live.now - Date.now()).toBeGreaterThan(3_590_000);
  });
});
