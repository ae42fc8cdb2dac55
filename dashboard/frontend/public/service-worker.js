// A page for the time when the hub cannot be reached, and notifications. Nothing else is cached: what is live must not
// be old.

const CACHE = "roomtone-offline-1";
const language = navigator.languages.some((name) => name.startsWith("es")) ? "-es" : "";
const PAGE = `/offline${language}.html`;
const FILES = [PAGE, "/offline.css", "/favicon.svg"];
// For browsers that can be told: a page is asked for while this program is started, and all else passes it by. Without
// these every request waits for it.
const ROUTES = [
  { condition: { requestMode: "navigate" }, source: "race-network-and-fetch-handler" },
  ...FILES.map((pathname) => ({ condition: { urlPattern: { pathname } }, source: "fetch-event" })),
  { condition: { urlPattern: { pathname: "/*" } }, source: "network" },
];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
  if (event.addRoutes) event.waitUntil(event.addRoutes(ROUTES).catch(() => undefined));
  self.skipWaiting();
});

self.addEventListener("activate", (event) => {
  const isOld = (name) => name.startsWith("roomtone-") && name !== CACHE;
  event.waitUntil(
    caches.keys().then((names) => Promise.all(names.filter(isOld).map((name) => caches.delete(name)))),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.mode === "navigate" && request.method === "GET")
    event.respondWith(fetch(request).catch(() => caches.match(PAGE)));
  else if (FILES.includes(new URL(request.url).pathname))
    event.respondWith(fetch(request).catch(() => caches.match(request)));
});

self.addEventListener("push", (event) => {
  const { title, body, tag, path } = event.data.json();
  event.waitUntil(
    self.registration.showNotification(title, { body, tag, icon: "/icon-192.png", data: path }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(clients.openWindow(event.notification.data ?? "/"));
});
