// The wall display: /?wall. The screen stays on, all tiles fit it, and there is a clock.

import { computed, onMounted, onUnmounted, ref, type Ref } from "vue";

/** Pixels: a tile that is narrower cannot be read, so that a phone has one column and scrolls. */
const LEAST_WIDTH = 230;

/** How many columns let `count` tiles fill a screen without scrolling, at about the shape of a card. */
export function columnsFor(count: number, width: number, height: number): number {
  const SHAPE = 1.7;
  let best = 1;
  let size = 0;
  const most = Math.min(count, Math.max(1, Math.floor(width / LEAST_WIDTH)));
  for (let columns = 1; columns <= most; columns++) {
    const rows = Math.ceil(count / columns);
    const fits = Math.min(width / columns, (height / rows) * SHAPE);
    if (fits > size) [best, size] = [columns, fits];
  }
  return best;
}

export function useWall(count: Ref<number>) {
  const size = ref({ width: window.innerWidth, height: window.innerHeight });
  const measure = () => (size.value = { width: window.innerWidth, height: window.innerHeight });
  let lock: WakeLockSentinel | undefined;

  // A browser gives the lock back whenever the page is hidden.
  async function keepAwake(): Promise<void> {
    if (document.hidden || !("wakeLock" in navigator)) return;
    lock = await navigator.wakeLock.request("screen").catch(() => undefined);
  }
  const wake = () => void keepAwake();

  onMounted(() => {
    document.documentElement.classList.add("rt-wall");
    window.addEventListener("resize", measure);
    document.addEventListener("visibilitychange", wake);
    wake();
  });
  onUnmounted(() => {
    document.documentElement.classList.remove("rt-wall");
    window.removeEventListener("resize", measure);
    document.removeEventListener("visibilitychange", wake);
    void lock?.release();
  });
  const columns = computed(() => columnsFor(Math.max(1, count.value), size.value.width, size.value.height));
  const rows = computed(() => Math.ceil(Math.max(1, count.value) / columns.value));
  return { columns, rows };
}
