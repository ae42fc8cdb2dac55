import { expect, it } from "vitest";
import { nextTick } from "vue";

import { apply } from "@/live";
import { router } from "@/router";

it("names the tab of a room as its heading does, also where the name comes later", async () => {
  await router.push("/room/sim-kitchen");
  await nextTick();
  expect(document.title).toBe("sim-kitchen · Roomtone");
  apply({ rooms: [{ node: "sim-kitchen", name: "Kitchen", availability: "online", mic: "ok", strip: [] }] });
  await nextTick();
  expect(document.title).toBe("Kitchen · Roomtone");
  await router.push("/");
  await nextTick();
  expect(document.title).toBe("Rooms · Roomtone");
});
