import { flushPromises, mount } from "@vue/test-utils";
import { describe, expect, it, vi } from "vitest";
import { defineComponent, h } from "vue";

const call = vi.hoisted(() => vi.fn<() => Promise<unknown>>());
vi.mock("@/api/client", () => ({ call }));

/** What a tile is given, in a component that is there. */
function mountTiles(operator = () => false): ReturnType<typeof useTiles> {
  let tileOf: ReturnType<typeof useTiles> = () => {
    throw new Error("not there");
  };
  mount(
    defineComponent({
      setup: () => {
        tileOf = useTiles(operator);
        return () => h("div");
      },
    }),
  );
  return (room) => tileOf(room);
}
const room = { node: "kitchen", name: "Kitchen", availability: "online", mic: "ok", strip: [] };

import { hub } from "@/hub";
import { useTiles } from "@/lib/tiles";
import { apply, live, type RoomView } from "@/live";

describe("the properties of a tile", () => {
  it("follow what is live, and there is no mute button on the wall", () => {
    apply(
      { rooms: [{ node: "kitchen", name: "Kitchen", availability: "online", mic: "ok", strip: [] }] },
      true,
    );
    apply({ levels: { kitchen: [-30, true] } });
    call.mockReturnValue(new Promise(() => undefined));
    let operator = false;
    const tileOf = mountTiles(() => operator);
    expect(tileOf(room)).toMatchObject({
      level: { dbfs: -30, speech: true },
      operator: false,
      linked: true,
    });
    operator = true;
    expect(tileOf(room).operator).toBe(true);
    expect(tileOf({ ...room, node: "hall" })).not.toHaveProperty("level");
  });

  it("have the day in words also of a room without a device, if there is one", async () => {
    hub.recorded = true;
    const counts = [9, 0, 0, 0, 0, 0, 0, 0];
    const buckets = [{ at: 0, counts, arousal: 0, before: 0 }];
    call.mockResolvedValue([{ node: "kitchen", buckets }]);
    const tileOf = mountTiles();
    await flushPromises();
    expect(tileOf({ ...room, recorded_only: true }).sentence).toBe("As usual today.");
    expect(tileOf({ ...room, node: "hall", recorded_only: true }).sentence).toBe("");
    expect(tileOf({ ...room, node: "hall" }).sentence).toBe("Nothing heard today.");
    // What was just heard is in the sums of the day a little later.
    const heard = (at: number): RoomView => {
      const utterance = {
        id: "a",
        node: "hall",
        at,
        emotion: "uncertain" as const,
        confidence: 0.4,
        duration: 900,
      };
      return { ...room, node: "hall", strip: [utterance] };
    };
    expect(tileOf(heard(live.now)).sentence).toBe("");
    expect(tileOf(heard(live.now - 2 * 86_400_000)).sentence).toBe("Nothing heard today.");
  });
});
