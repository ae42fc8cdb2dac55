import { describe, expect, it } from "vitest";

import { conditionOf, sortedRooms } from "@/lib/rooms";
import type { RoomView } from "@/live";

const room = (node: string, more: Partial<RoomView> = {}): RoomView => ({
  node,
  name: node,
  availability: "online",
  mic: "ok",
  strip: [],
  ...more,
});

describe("rooms", () => {
  it("come in the order of the hub: those that need attention, then by name, those without a device last", () => {
    const rooms = [
      room("attic", { recorded_only: true, availability: "" }),
      room("bath"),
      room("cellar", { attention: true }),
      room("attention", { attention: true }),
    ];
    const order = sortedRooms(Object.fromEntries(rooms.map((one) => [one.node, one])));
    expect(order.map((one) => one.node)).toEqual(["attention", "cellar", "bath", "attic"]);
  });

  it("with numbers come in the order of the numbers", () => {
    const rooms = ["Room 10", "room 2", "Room 1"].map((name, i) => room(`r${i}`, { name }));
    const order = sortedRooms(Object.fromEntries(rooms.map((one) => [one.node, one])));
    expect(order.map((one) => one.name)).toEqual(["Room 1", "room 2", "Room 10"]);
  });

  it("do not listen when their device sends nothing", () => {
    expect(conditionOf(room("bath"))).toBe("ok");
    expect(conditionOf(room("bath", { silent: true }))).toBe("silent");
    expect(conditionOf(room("bath", { silent: true, availability: "offline" }))).toBe("offline");
  });
});
