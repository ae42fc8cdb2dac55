// The service worker: for the page that says that the hub cannot be reached, and for notifications. Browsers have it on
// HTTPS pages only, and only with a certificate that they know.

/** Not while the page itself is loaded. */
const REGISTER_AFTER_MS = 1000;
/** A worker that cannot be installed leaves `ready` waiting for ever, without an error. */
const READY_WITHIN_MS = 10_000;

const waitFor = (ms: number) => new Promise<void>((resolve) => window.setTimeout(resolve, ms));

let registered: Promise<ServiceWorkerRegistration | undefined> | undefined;

async function register(): Promise<ServiceWorkerRegistration | undefined> {
  if (!("serviceWorker" in navigator)) return undefined;
  await waitFor(REGISTER_AFTER_MS);
  try {
    await navigator.serviceWorker.register("/service-worker.js");
    return await Promise.race([
      navigator.serviceWorker.ready,
      waitFor(READY_WITHIN_MS).then(() => undefined),
    ]);
  } catch {
    return undefined;
  }
}

/** The worker when it is ready, registered once for the whole application; undefined: the browser has none. */
export function serviceWorker(): Promise<ServiceWorkerRegistration | undefined> {
  return (registered ??= register());
}
