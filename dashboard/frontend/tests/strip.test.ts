import { mount } from "@vue/test-utils";
import { expect, it } from "vitest";

import EmotionStrip from "@/components/EmotionStrip.vue";

it("says what each mark is once a pointer comes, and to a screen reader always", async () => {
  const mark = { id: "a", node: "kitchen", at: Date.now(), confidence: 0.8, duration: 1000 };
  const strip = mount(EmotionStrip, { props: { strip: [{ ...mark, emotion: "happy" as const }] } });
  expect(strip.attributes("aria-label")).toContain("Happy");
  expect(strip.find("title").exists()).toBe(false);
  await strip.trigger("pointerenter");
  expect(strip.find("title").text()).toContain("Happy 80 %");
});
