import { flushPromises } from "@vue/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

vi.mock("@/api/client", () => ({ call: () => Promise.resolve() }));

beforeEach(() => {
  vi.useFakeTimers();
  vi.resetModules();
  vi.stubGlobal("PushManager", Object);
  vi.stubGlobal("Notification", { permission: "default" });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** What the page says of this browser, in which a worker is registered so. */
async function stateWith(register: () => Promise<unknown>): Promise<string> {
  const worker = { pushManager: { getSubscription: () => Promise.resolve(null) } };
  vi.stubGlobal("navigator", { serviceWorker: { register, ready: Promise.resolve(worker) } });
  const { usePush } = await import("@/lib/push");
  const { state } = usePush();
  expect(state.value).toBe("unknown");
  await vi.runAllTimersAsync();
  await flushPromises();
  return state.value;
}

it("says that notifications cannot be had where the browser refuses the certificate of the worker", async () =>
  expect(await stateWith(() => Promise.reject(new DOMException("certificate", "SecurityError")))).toBe(
    "impossible",
  ));

it("offers notifications where there is a worker", async () =>
  expect(await stateWith(() => Promise.resolve({}))).toBe("off"));
