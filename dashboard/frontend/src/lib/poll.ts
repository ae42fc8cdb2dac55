import { onMounted, onUnmounted } from "vue";

/** Calls `ask` at once, every `everyMs` while the page is visible, and when it becomes visible again. */
export function usePolling(ask: () => void, everyMs: number): void {
  const whenVisible = () => {
    if (!document.hidden) ask();
  };
  let timer = 0;
  onMounted(() => {
    timer = window.setInterval(whenVisible, everyMs);
    document.addEventListener("visibilitychange", whenVisible);
    ask();
  });
  onUnmounted(() => {
    window.clearInterval(timer);
    document.removeEventListener("visibilitychange", whenVisible);
  });
}
