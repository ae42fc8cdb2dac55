import { expect, test } from "vitest";

import { drawnArousal, USUAL_AROUSAL } from "@/lib/arousal";

test("lines show what is usual near the middle, and end where a mean hardly reaches", () => {
  expect(drawnArousal(0)).toBe(0);
  expect(drawnArousal(0.5)).toBe(1);
  expect(drawnArousal(-0.9)).toBe(-1);
  expect(drawnArousal(-0.25)).toBe(-0.5);
  expect(drawnArousal(USUAL_AROUSAL)).toBeLessThan(0.3);
});
