import { mount } from "@vue/test-utils";
import { expect, it } from "vitest";

import { hub } from "@/hub";
import AddDevicePage from "@/pages/AddDevicePage.vue";

it.each([
  ["", "", 0],
  ["", "mqtts://hub.local:8883", 1],
  ["roomtone fleet enrol", "", 1],
])("waits for a device only where one can come (%s, %s)", async (enrol, device_broker, waiting) => {
  Object.assign(hub, { enrol, device_broker });
  const page = mount(AddDevicePage, { global: { stubs: ["RouterLink"] } });
  await page.find("input").setValue("Kitchen");
  expect(page.findAll("[role=status]")).toHaveLength(waiting);
});
