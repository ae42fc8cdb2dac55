import { createApp } from "vue";

import App from "@/App.vue";
import * as hub from "@/hub";
import * as live from "@/live";
import { router } from "@/router";
import "@/theme.css";

if (new URLSearchParams(location.search).has("wall")) document.documentElement.classList.add("rt-wall");

// The pages work without an answer, too: they then say that the hub does not answer.
await hub.load().catch(() => undefined);
live.start();
createApp(App).use(router).mount("#app");
