import { describe, expect, it } from "vitest";

import { columnsFor } from "@/lib/wall";

describe("the columns of a wall display", () => {
  it("let 15 rooms fill a large screen", () => expect(columnsFor(15, 1920, 1080)).toBe(4));
  it("are one on a phone, which scrolls", () => expect(columnsFor(15, 390, 844)).toBe(1));
  it("are no more than there are rooms", () => expect(columnsFor(2, 1920, 1080)).toBe(2));
});
