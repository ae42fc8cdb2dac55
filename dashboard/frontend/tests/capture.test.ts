import { describe, expect, it } from "vitest";

import { wavBytes } from "@/lib/capture";

describe("wavBytes", () => {
  it("is a mono int16 RIFF file whose sizes are those of its samples", () => {
    const view = new DataView(wavBytes([Float32Array.of(0, 0.5), Float32Array.of(-1, 2)], 16_000));
    expect(view.byteLength).toBe(44 + 8);
    expect(view.getUint32(4, true)).toBe(36 + 8);
    expect(view.getUint32(24, true)).toBe(16_000);
    expect(view.getUint32(40, true)).toBe(8);
    expect([0, 2, 4, 6].map((at) => view.getInt16(44 + at, true))).toEqual([0, 16_384, -32_768, 32_767]);
  });
});
