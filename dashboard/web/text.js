// The words of the reader's language: the one that they chose, else the first of their browser's that there is.

import { en } from "roomtone/english.js";
import { es } from "roomtone/spanish.js";

const tables = { en, es };
const chosen = (document.cookie.match(/(?:^|; )rt-language=(\w\w)/) || [])[1];

export const language = [chosen, ...navigator.languages.map((name) => name.slice(0, 2))].find((code) => code in tables) || "en";
// Times and numbers are written as the browser does it, unless its reader wants another language here.
export const locale = navigator.language.startsWith(language) ? undefined : language;
export const text = tables[language];

// Quasar writes its own language there, whenever it has loaded.
const root = document.documentElement;
const keep = () => root.lang.startsWith(language) || (root.lang = language);
new MutationObserver(keep).observe(root, { attributes: true, attributeFilter: ["lang"] });
keep();
