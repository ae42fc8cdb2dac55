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

const worker = { pushManager: { getSubscription: () => Promise.resolve(null) } };

/** What the page says of this browser, in which a worker is registered so. */
async function stateWith(
  register: () => Promise<unknown>,
  { phones = false, ready = Promise.resolve<unknown>(worker) } = {},
): Promise<string> {
  vi.stubGlobal("navigator", { serviceWorker: { register, ready } });
  const { hub } = await import("@/hub");
  hub.phones = phones;
  const { usePush } = await import("@/lib/push");
  const { state } = usePush();
  expect(state.value).toBe("unknown");
  await vi.runAllTimersAsync();
  await flushPromises();
  return state.value;
}

const refuse = () => Promise.reject(new DOMException("certificate", "SecurityError"));

it("says that the browser lacks the certificate of the hub where it refuses the worker for it", async () =>
  expect(await stateWith(refuse, { phones: true })).toBe("untrusted"));

it("says that notifications cannot be had where the certificate is known and there is no worker", async () =>
  expect(await stateWith(refuse, { phones: false })).toBe("impossible"));

it("does not wait for ever for a worker that is registered and never ready", async () =>
  expect(
    await stateWith(() => Promise.resolve({}), { phones: true, ready: new Promise(() => undefined) }),
  ).toBe("untrusted"));

it("offers notifications where there is a worker", async () =>
  expect(await stateWith(() => Promise.resolve({}))).toBe("off"));
