import { mount } from "@vue/test-utils";
import { afterEach, expect, it, vi } from "vitest";
import { defineComponent, h } from "vue";

import { usePainted } from "@/lib/painted";

afterEach(() => vi.useRealTimers());

it("lets the rest of the first page wait for the first picture, and of a later page for nothing", async () => {
  vi.useFakeTimers();
  const Page = defineComponent({
    setup: () => {
      const painted = usePainted();
      return () => h("p", painted.value ? "all" : "tiles");
    },
  });
  const first = mount(Page);
  expect(first.text()).toBe("tiles");
  await vi.runAllTimersAsync();
  expect(first.text()).toBe("all");
  expect(mount(Page).text()).toBe("all");
});
