import { describe, expect, it, vi } from "vitest";

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

it("names both commands that take the mail server", () => {
  for (const table of [en, es])
    expect(table.rule_email_off).toMatch(/`\.\/run hub` .* `roomtone dashboard` .* `--smtp URL`/);
});

describe("a refusal of the server", () => {
  it("is shown in the page's language, with what follows it", async () => {
    document.cookie = "rt-language=es";
    vi.resetModules();
    const { translateError } = await import("@/i18n");
    document.cookie = "rt-language=; max-age=0";
    expect(translateError("the password is wrong")).toBe(es.errors.password);
    expect(translateError("the database does not answer: locked")).toBe(`${es.errors.database}: locked`);
    expect(translateError("something else")).toBe("something else");
  });
});

describe("why the broker is lost", () => {
  const detail = "nothing listens on mqtt://hub:1883: start the broker";
  it("is said in the page's language, with the server's words behind it", async () => {
    document.cookie = "rt-language=es";
    vi.resetModules();
    const { brokerReason } = await import("@/i18n");
    document.cookie = "rt-language=; max-age=0";
    expect(brokerReason({ code: "connection_refused", detail })).toBe(
      `el broker no está en marcha o usa otro puerto (${detail})`,
    );
    expect(brokerReason({ code: "broker_certificate_expired", detail })).toContain("ha caducado");
    expect(brokerReason({ code: "broker_certificate_18", detail })).toContain("no se acepta");
    expect(brokerReason({ code: "mqtt_0xff", detail })).toBe(detail);
    expect(brokerReason({ code: "", detail: "" })).toBe("");
  });
  it("needs no other words in English", async () => {
    document.cookie = "rt-language=en";
    vi.resetModules();
    const { brokerReason } = await import("@/i18n");
    document.cookie = "rt-language=; max-age=0";
    expect(brokerReason({ code: "timeout", detail })).toBe(detail);
  });
});

describe("why a message, a release or a notification failed", () => {
  async function translate(language: string) {
    document.cookie = `rt-language=${language}`;
    vi.resetModules();
    const { translateReason } = await import("@/i18n");
    document.cookie = "rt-language=; max-age=0";
    return translateReason;
  }
  it("is said in the page's language, with what was said of it behind", async () => {
    const reason = await translate("es");
    const detail = "event: Object missing required field `id`";
    expect(reason("message", detail)).toBe(`el contenido incumple el protocolo (${detail})`);
    expect(reason("message", "not a topic of a room: 'a/b'")).toMatch(/^no es un tema .*'a\/b'\)$/);
    expect(reason("release", "base-1.0.0 rolled back: the ear does not run it")).toMatch(/^se ha vuelto/);
    expect(reason("delivery", "status 500")).toContain("ha respondido con un error (status 500)");
    expect(reason("delivery", "ConnectTimeout: ")).toContain("no responde a tiempo");
    expect(reason("delivery", "something else")).toBe("something else");
  });
  it("needs no other words in English", async () => {
    expect((await translate("en"))("delivery", "status 500")).toBe("status 500");
  });
});
