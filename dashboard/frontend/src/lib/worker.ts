// The service worker: for the page that says that the hub cannot be reached, and for notifications. Browsers have it on
// HTTPS pages only, and only with a certificate that they know.

/** Not while the page itself is loaded. */
const REGISTER_AFTER_MS = 1000;

let registered: Promise<ServiceWorkerRegistration | undefined> | undefined;

async function register(): Promise<ServiceWorkerRegistration | undefined> {
  if (!("serviceWorker" in navigator)) return undefined;
  await new Promise((resolve) => window.setTimeout(resolve, REGISTER_AFTER_MS));
  try {
    await navigator.serviceWorker.register("/service-worker.js");
    return await navigator.serviceWorker.ready;
  } catch {
    return undefined;
  }
}

/** The worker when it is ready, registered once for the whole application; undefined: the browser has none. */
export function serviceWorker(): Promise<ServiceWorkerRegistration | undefined> {
  return (registered ??= register());
}
