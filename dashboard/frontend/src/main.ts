import { createApp } from "vue";

import App from "@/App.vue";
import { first } from "@/first";
import * as hub from "@/hub";
import { startAlerts } from "@/lib/alerts";
import { serviceWorker } from "@/lib/worker";
import * as live from "@/live";
import { router } from "@/router";
import "@/styles/index.css";

if (first) {
  Object.assign(hub.hub, first.hub);
  // Without the state of the connection: only the socket knows whether it is still so.
  if (first.live) live.apply(first.live, true);
} else {
  // The pages work without an answer, too: they then say that the hub does not answer.
  await hub.load().catch(() => undefined);
}
if (!hub.isGuest.value) {
  live.start();
  startAlerts();
}
createApp(App).use(router).mount("#app");
void serviceWorker();
