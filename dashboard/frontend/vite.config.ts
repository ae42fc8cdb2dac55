import { fileURLToPath } from "node:url";

import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vitest/config";

/** What other pages share with the first one, and every page therefore loads. */
const START = [
  /node_modules\/(@vue|vue|vue-router)\/|preload-helper/,
  /\/src\/(i18n|api)\/|\/src\/(hub|live)\.ts/,
  /\/src\/lib\/(alerts|arousal|emotions|poll|records|theme|times|worker)\.ts/,
  /\/src\/components\/(EmotionGlyph|EmotionLegend|EmotionStrip|PageSelector|RoomTile|UtteranceList)\.vue/,
];
const isOfStart = (id: string): boolean => START.some((pattern) => pattern.test(id));

export default defineConfig({
  plugins: [vue()],
  // Every address below /assets/ has a hash of its content in it, so that browsers may keep it for a year.
  build: {
    outDir: "../static",
    emptyOutDir: true,
    manifest: "manifest.json",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    // What the first page needs comes in one file: each further one is a request, which on a small hub takes longer
    // than its few hundred bytes.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "start", test: isOfStart }] } } },
  },
  define: { __VUE_OPTIONS_API__: false, __VUE_PROD_DEVTOOLS__: false },
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: {
    proxy: { "/api": { target: "http://127.0.0.1:8080", ws: true }, "/login": "http://127.0.0.1:8080" },
  },
  test: { environment: "jsdom", include: ["tests/**/*.test.ts"] },
});
