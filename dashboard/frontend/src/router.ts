import { watchEffect } from "vue";
import { createRouter, createWebHistory } from "vue-router";

import { text } from "@/i18n";
import { live } from "@/live";
import RoomsPage from "@/pages/RoomsPage.vue";

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: "/", component: RoomsPage, meta: { title: () => text.rooms } },
    { path: "/room/:node", component: () => import("@/pages/RoomPage.vue"), props: true },
    { path: "/fleet", component: () => import("@/pages/FleetPage.vue"), meta: { title: () => text.fleet } },
    {
      path: "/models",
      component: () => import("@/pages/ModelsPage.vue"),
      meta: { title: () => text.models },
    },
    {
      path: "/alerts",
      component: () => import("@/pages/AlertsPage.vue"),
      meta: { title: () => text.alerts },
    },
    { path: "/try", component: () => import("@/pages/TryPage.vue"), meta: { title: () => text.try_title } },
    {
      path: "/account",
      component: () => import("@/pages/AccountPage.vue"),
      meta: { title: () => text.account },
    },
    {
      path: "/add",
      component: () => import("@/pages/AddDevicePage.vue"),
      meta: { title: () => text.add_device },
    },
    { path: "/:rest(.*)*", component: () => import("@/pages/NotFoundPage.vue") },
  ],
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
});

function pageTitle(): string {
  const { meta, params } = router.currentRoute.value;
  const node = String(params.node ?? "");
  return (meta.title as (() => string) | undefined)?.() ?? live.rooms[node]?.name ?? node;
}

// The name of a room may come after its page is shown, and changes when the room is renamed.
watchEffect(() => {
  const title = pageTitle();
  document.title = title ? `${title} · Roomtone` : "Roomtone";
});
