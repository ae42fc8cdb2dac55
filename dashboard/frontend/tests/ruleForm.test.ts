import { mount } from "@vue/test-utils";
import { expect, it, vi } from "vitest";

vi.mock("@/api/client", () => ({ call: () => Promise.resolve([]) }));

import RuleForm from "@/components/alerts/RuleForm.vue";

const formWith = (refused: string) =>
  mount(RuleForm, { props: { refused, channels: { email: true, push_key: "" } } });

it("shows a refusal that names a field at that field", () => {
  const form = formWith("webhook: not a public address; start it with --notify 192.168.1.5");
  const alert = form.get("[role=alert]");
  expect(alert.text()).toBe("not a public address; start it with --notify 192.168.1.5");
  const field = form.get("input[type=url]");
  expect(field.attributes("aria-describedby")).toBe(alert.attributes("id"));
  expect(field.attributes("aria-invalid")).toBe("true");
  expect(form.get("input[type=email]").attributes("aria-describedby")).toBeUndefined();
});

it("shows any other refusal below the form", () => {
  const form = formWith("there are too many rules; remove one first");
  expect(form.findAll("[role=alert]").map((alert) => alert.classes("rt-banner"))).toEqual([true]);
  expect(form.get("input[type=url]").attributes("aria-describedby")).toBeUndefined();
});

it("begins with an episode, and asks for the minutes that suit the kind until some are typed", async () => {
  const form = formWith("");
  const kinds = form.findAll("select").find((each) => each.find("option[value=episode]").exists());
  const minutes = () => form.get<HTMLInputElement>("input[max='1440']");
  expect(kinds?.element.value).toBe("episode");
  expect(minutes().element.value).toBe("1");
  await kinds?.setValue("emotion");
  expect(minutes().element.value).toBe("10");
  await kinds?.setValue("episode");
  expect(minutes().element.value).toBe("1");
  await minutes().setValue(7);
  await kinds?.setValue("loud");
  expect(minutes().element.value).toBe("7");
});
