import { mount } from "@vue/test-utils";
import { describe, expect, it, vi } from "vitest";
import { defineComponent, h } from "vue";

vi.mock("@/api/client", () => ({ call: () => new Promise(() => undefined) }));

import { useTiles } from "@/lib/tiles";
import { apply } from "@/live";

describe("the properties of a tile", () => {
  it("follow what is live, and there is no mute button on the wall", () => {
    apply(
      { rooms: [{ node: "kitchen", name: "Kitchen", availability: "online", mic: "ok", strip: [] }] },
      true,
    );
    apply({ levels: { kitchen: [-30, true] } });
    let tileOf: ReturnType<typeof useTiles> | undefined;
    let operator = false;
    mount(
      defineComponent({
        setup: () => {
          tileOf = useTiles(() => operator);
          return () => h("div");
        },
      }),
    );
    const room = { node: "kitchen", name: "Kitchen", availability: "online", mic: "ok", strip: [] };
    expect(tileOf?.(room)).toMatchObject({
      level: { dbfs: -30, speech: true },
      operator: false,
      linked: true,
    });
    operator = true;
    expect(tileOf?.(room).operator).toBe(true);
    expect(tileOf?.({ ...room, node: "hall" })).not.toHaveProperty("level");
  });
});
