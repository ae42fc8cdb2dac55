import { createApp } from "vue";

import App from "@/App.vue";
import * as hub from "@/hub";
import { startAlerts } from "@/lib/alerts";
import * as live from "@/live";
import { router } from "@/router";
import "@/styles/index.css";

// Both at once: the socket does not wait for an answer that only a guest's page needs first.
const answered = hub.load();
if (location.pathname !== "/try") live.start();
// The pages work without an answer, too: they then say that the hub does not answer.
await answered.catch(() => undefined);
if (hub.isGuest.value) live.stop();
else {
  live.start();
  startAlerts();
}
createApp(App).use(router).mount("#app");

// For the page that says that the hub cannot be reached, and for notifications; browsers have it on HTTPS pages only.
if ("serviceWorker" in navigator)
  void navigator.serviceWorker.register("/service-worker.js").catch(() => undefined);
