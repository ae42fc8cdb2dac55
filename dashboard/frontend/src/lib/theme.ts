// Dark or light: the system's setting, or the reader's choice, which is kept in a cookie.

import { onMounted, onUnmounted } from "vue";

const YEAR_S = 31_536_000;
const CHANGED = "rt-theme";
const root = document.documentElement;
const system = window.matchMedia("(prefers-color-scheme: dark)");

const chosen = /(?:^|; )rt-theme=(dark|light)/.exec(document.cookie)?.[1];
if (chosen) root.dataset.theme = chosen;
system.addEventListener("change", () => window.dispatchEvent(new Event(CHANGED)));

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

export function toggleTheme(): void {
  root.dataset.theme = isDark() ? "light" : "dark";
  document.cookie = `rt-theme=${root.dataset.theme}; path=/; max-age=${YEAR_S}; SameSite=Lax`;
  window.dispatchEvent(new Event(CHANGED));
}

/** Calls back whenever the colours have changed, while the component is there. */
export function useThemeChange(changed: () => void): void {
  onMounted(() => window.addEventListener(CHANGED, changed));
  onUnmounted(() => window.removeEventListener(CHANGED, changed));
}
