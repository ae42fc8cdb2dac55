// The texts in the user's language: the chosen one, else the browser's first language that is supported.

import { en } from "roomtone/english.js";
import { es } from "roomtone/spanish.js";

const tables = { en, es };
const chosen = (document.cookie.match(/(?:^|; )rt-language=(\w\w)/) || [])[1];

export const language = [chosen, ...navigator.languages.map((name) => name.slice(0, 2))].find((code) => code in tables) || "en";
// Times and numbers are formatted for the browser's locale, unless another language was chosen.
export const locale = navigator.language.startsWith(language) ? undefined : language;
export const text = tables[language];

// Quasar sets its own language there when it has loaded.
const root = document.documentElement;
const keep = () => root.lang.startsWith(language) || (root.lang = language);
new MutationObserver(keep).observe(root, { attributes: true, attributeFilter: ["lang"] });
keep();
