import { mount } from "@vue/test-utils";
import { expect, it } from "vitest";

import UtteranceList from "@/components/UtteranceList.vue";
import { text } from "@/i18n";

const hintOf = (props: { selection?: string; filtered?: boolean }) =>
  mount(UtteranceList, { props: { events: [], names: {}, ...props } })
    .find(".rt-hint")
    .text();

it("blames filters for an empty period only where there are filters", () => {
  expect(hintOf({ selection: "", filtered: true })).toBe(text.none_filtered);
  expect(hintOf({ selection: "", filtered: false })).toBe(text.none_here);
  expect(text.none_here).not.toContain("filter");
  expect(hintOf({})).toBe(text.none_yet);
});
