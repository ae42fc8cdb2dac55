import { flushPromises, mount } from "@vue/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

const call = vi.hoisted(() => vi.fn<(method: string, path: string) => Promise<unknown>>());
vi.mock("@/api/client", () => ({ call }));

import RoomChooser from "@/components/alerts/RoomChooser.vue";

const rooms = Array.from({ length: 1200 }, (_, i) => ({ node: `room-${i}`, name: `Room ${i}` }));

function serve(all: typeof rooms): void {
  call.mockImplementation((_method, path) => {
    const query = new URLSearchParams(path.split("?")[1]);
    const found = all.filter((room) => room.name.includes(query.get("search") ?? ""));
    return Promise.resolve(found.slice(0, Number(query.get("limit"))));
  });
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it("finds a room that is not among those listed, and keeps it when another is searched for", async () => {
  serve(rooms);
  const chooser = mount(RoomChooser, { props: { modelValue: "" } });
  await flushPromises();
  expect(chooser.find("option[value=room-1111]").exists()).toBe(false);
  const find = async (text: string) => {
    await chooser.find("input[type=search]").setValue(text);
    await vi.runAllTimersAsync();
  };
  await find("Room 1111");
  await chooser.find("select").setValue("room-1111");
  expect(chooser.emitted("update:modelValue")).toEqual([["room-1111"]]);
  await chooser.setProps({ modelValue: "room-1111" });
  await find("Room 5");
  expect(chooser.find("option[value=room-1111]").text()).toBe("Room 1111");
});

it("names the room of a rule that is changed, wherever it is", async () => {
  serve(rooms);
  const chooser = mount(RoomChooser, { props: { modelValue: "room-1199", name: "Attic" } });
  await flushPromises();
  expect(chooser.find("option[value=room-1199]").text()).toBe("Attic");
});

it("has no search where all rooms are listed", async () => {
  serve(rooms.slice(0, 12));
  const chooser = mount(RoomChooser, { props: { modelValue: "" } });
  await flushPromises();
  expect(chooser.findAll("option")).toHaveLength(13);
  expect(chooser.find("input").exists()).toBe(false);
});
