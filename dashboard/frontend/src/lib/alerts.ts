// Which alerts are on: for the badge of the navigation. That of a room's tile comes with what is live.

import { computed, ref } from "vue";

import { call, type Alert } from "@/api/client";
import { hub } from "@/hub";

const EVERY_MS = 10_000;
/** The most that are asked for. */
export const LIMIT = 50;

const alerts = ref<Alert[]>([]);

export const activeAlerts = computed(() => alerts.value.filter((alert) => alert.until === null));

/** Asks the hub now. */
export async function refreshAlerts(): Promise<void> {
  if (!hub.recorded || document.hidden) return;
  alerts.value = await call<Alert[]>("GET", `alerts?limit=${LIMIT}`).catch(() => alerts.value);
}

/** Keeps them up to date, once for the whole application. */
export function startAlerts(): void {
  void refreshAlerts();
  window.setInterval(() => void refreshAlerts(), EVERY_MS);
  document.addEventListener("visibilitychange", () => void refreshAlerts());
}
