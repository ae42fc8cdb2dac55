import { describe, expect, it } from "vitest";

import { en } from "@/i18n/en";
import { es } from "@/i18n/es";

function keysOf(table: object, prefix = ""): string[] {
  return Object.entries(table).flatMap(([key, value]) =>
    typeof value === "object" && !Array.isArray(value)
      ? keysOf(value as object, `${prefix}${key}.`)
      : [prefix + key],
  );
}

describe("messages", () => {
  it("have the same keys in every language", () => expect(keysOf(es)).toEqual(keysOf(en)));
  it("are translated, but for a few names", () => {
    const same = Object.entries(en).filter(
      ([key, value]) => typeof value === "string" && es[key as keyof typeof es] === value,
    );
    expect(same.map(([key]) => key).length).toBeLessThan(6);
  });
});
