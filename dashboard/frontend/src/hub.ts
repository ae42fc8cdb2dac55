// Who is using these pages and what this hub can do: asked once, before the first page is shown.

import { computed, reactive } from "vue";

import { call, type HubInfo } from "@/api/client";

export const hub = reactive<HubInfo>({
  name: "",
  role: "viewer",
  login: false,
  broker: "",
  base_topic: "roomtone",
  recorded: false,
  try_it: false,
  guest_links: false,
  version: "",
  enrol: "",
  device_broker: "",
  phones: false,
});

/** A guest has the page *Try it*, and nothing else. */
export const isGuest = computed(() => hub.role === "guest");
export const isOperator = computed(() => hub.role === "operator");

/** Throws ApiError. */
export async function load(): Promise<void> {
  Object.assign(hub, await call<HubInfo>("GET", "hub"));
}
