// Notifications of this browser, by Web Push: it subscribes with the hub's own key.

import { computed, ref } from "vue";

import { call, type ChannelInfo } from "@/api/client";
import { hub } from "@/hub";
import { serviceWorker } from "@/lib/worker";

export type PushState = "unknown" | "impossible" | "untrusted" | "refused" | "off" | "on";

const isAble = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

export function usePush() {
  const subscription = ref<PushSubscription | null>();
  /** Without its worker a browser that could show notifications cannot be reached. */
  const hasWorker = ref(true);

  const state = computed<PushState>(() => {
    if (!isAble) return "impossible";
    // On a page whose certificate is the hub's own, that is what a browser refuses a worker for.
    if (!hasWorker.value) return hub.phones ? "untrusted" : "impossible";
    if (Notification.permission === "denied") return "refused";
    if (subscription.value === undefined) return "unknown";
    return subscription.value ? "on" : "off";
  });

  async function look(): Promise<void> {
    if (!isAble) return;
    const worker = await serviceWorker();
    hasWorker.value = worker !== undefined;
    if (worker) subscription.value = await worker.pushManager.getSubscription();
  }

  /** Throws ApiError, and what the browser throws. */
  async function start(channels: ChannelInfo): Promise<void> {
    if ((await Notification.requestPermission()) !== "granted") {
      subscription.value = null;
      return;
    }
    const worker = await serviceWorker();
    if (!worker) return;
    const made = await worker.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: channels.push_key,
    });
    await call("POST", "push", made.toJSON());
    subscription.value = made;
  }

  async function stop(): Promise<void> {
    const old = subscription.value;
    if (!old) return;
    await old.unsubscribe();
    await call("DELETE", `push?endpoint=${encodeURIComponent(old.endpoint)}`);
    subscription.value = null;
  }

  void look();
  return { state, start, stop };
}
