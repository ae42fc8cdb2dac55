import { afterEach, expect, it, vi } from "vitest";

import { live, start, stop } from "@/live";

class SocketDouble {
  static readonly OPEN = 1;
  static all: SocketDouble[] = [];
  readyState = 0;
  onclose?: () => void;
  onopen?: () => void;
  constructor(readonly url: string) {
    SocketDouble.all.push(this);
  }
  send(): void {}
  close(): void {
    this.readyState = 3;
    this.onclose?.();
  }
}

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("connects once, tries again when the hub has gone, and not after it was stopped", async () => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", SocketDouble);
  vi.stubGlobal("fetch", () => Promise.reject(new Error("offline")));
  start();
  start();
  expect(SocketDouble.all).toHaveLength(1);

  SocketDouble.all[0]?.close();
  await vi.advanceTimersByTimeAsync(600);
  expect(SocketDouble.all).toHaveLength(2);
  expect(live.hub).toBe("lost");

  stop();
  expect(SocketDouble.all[1]?.readyState).toBe(3);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(SocketDouble.all).toHaveLength(2);
});
