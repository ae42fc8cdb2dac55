import { createApp } from "vue";

import App from "@/App.vue";
import * as hub from "@/hub";
import { startAlerts } from "@/lib/alerts";
import * as live from "@/live";
import { router } from "@/router";
import "@/styles/index.css";

// The pages work without an answer, too: they then say that the hub does not answer.
await hub.load().catch(() => undefined);
if (!hub.isGuest.value) {
  live.start();
  startAlerts();
}
createApp(App).use(router).mount("#app");

// For the page that says that the hub cannot be reached, and for notifications; browsers have it on HTTPS pages only.
if ("serviceWorker" in navigator)
  void navigator.serviceWorker.register("/service-worker.js").catch(() => undefined);
