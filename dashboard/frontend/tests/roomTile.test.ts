import { mount } from "@vue/test-utils";
import { expect, it } from "vitest";

import RoomTile from "@/components/RoomTile.vue";
import { text } from "@/i18n";
import type { RoomView } from "@/live";

const room: RoomView = { node: "hall", name: "Hall", availability: "online", mic: "ok", strip: [] };

function wordsOf(given: Partial<RoomView>): { headline: string; detail: string } {
  const tile = mount(RoomTile, {
    props: { room: { ...room, ...given }, now: 0, stale: false, operator: false },
    global: { stubs: { RouterLink: true } },
  });
  return { headline: tile.get(".rt-emotion").text(), detail: tile.get(".rt-detail").text() };
}

it("says of an episode that the room is agitated, and then how it sounds", () => {
  const found = wordsOf({ emotion: "angry", confidence: 0.6, arousal: 0.3, agitated: true });
  expect(found.headline).toBe(text.agitated);
  expect(found.detail).toContain(text.angry);
  expect(wordsOf({ emotion: "angry", confidence: 0.6, arousal: 0.3 }).headline).toBe(text.angry);
});

it("says how agitated a room is where its emotion is not sure", () => {
  expect(wordsOf({ emotion: "uncertain", arousal: 0.15 }).headline).toBe(text.arousal_high);
  expect(wordsOf({ emotion: "uncertain" }).headline).toBe(text.uncertain);
  const agitated = wordsOf({ emotion: "uncertain", arousal: 0.3, agitated: true });
  expect(agitated.headline).toBe(text.agitated);
  expect(agitated.detail).not.toContain(text.uncertain);
});

it("says nothing of agitation where the microphone is lost", () => {
  expect(wordsOf({ emotion: "angry", mic: "lost", arousal: 0.3, agitated: true }).headline).toBe(text.angry);
});
