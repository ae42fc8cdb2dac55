import { mount } from "@vue/test-utils";
import { expect, it } from "vitest";

import UtteranceList from "@/components/UtteranceList.vue";
import { text } from "@/i18n";
import type { Emotion } from "@/lib/emotions";

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

it("says how agitated an utterance is where its label is not sure", () => {
  const said = (emotion: Emotion, arousal?: number) =>
    mount(UtteranceList, {
      props: {
        names: {},
        events: [
          {
            id: "a",
            node: "hall",
            at: 0,
            emotion,
            confidence: 0.4,
            duration: 900,
            maybe: "fearful",
            arousal,
          },
        ],
      },
    })
      .get(".rt-what")
      .text();
  expect(said("uncertain", 0.3)).toBe(text.arousal_high);
  expect(said("uncertain", -0.3)).toBe(text.arousal_low);
  expect(said("uncertain", 0.05)).toBe("Not sure: maybe fearful");
  expect(said("uncertain")).toBe("Not sure: maybe fearful");
  expect(said("happy", 0.3)).toBe("Happy");
});
