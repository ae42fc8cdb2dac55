// The messages of the reader's language: the one they chose, else the first of their browser's that there is.

import { en, type Messages } from "./en";
import { es } from "./es";
import { brokerReasons } from "./es-broker";
import { reasons } from "./es-reasons";

const YEAR_S = 31_536_000;
const tables: Record<string, Messages> = { en, es };

const chosen = /(?:^|; )rt-language=(\w\w)/.exec(document.cookie)?.[1];
const wanted = [chosen, ...navigator.languages.map((name) => name.slice(0, 2))];

export const language = wanted.find((code) => code !== undefined && code in tables) ?? "en";
/** For `Intl`: the browser's own conventions unless the reader chose another language here. */
export const locale = navigator.language.startsWith(language) ? undefined : language;
export const text: Messages = tables[language] ?? en;

/** A refusal of the server in the page's language, where it is a known one. */
export function translateError(message: string): string {
  const known = Object.entries(en.errors).find(([, words]) => message.startsWith(words));
  if (!known) return message;
  const [key, words] = known;
  return text.errors[key as keyof typeof en.errors] + message.slice(words.length);
}

/** Why the broker is lost, or what it lacks: in the page's language, with what the server says of it behind. */
export function brokerReason(broker: { code: string; detail: string }): string {
  if (language === "en") return broker.detail;
  // The longest that fits: `certificate` stands for all of its kinds.
  const known = Object.keys(brokerReasons).filter((code) => broker.code.startsWith(code));
  const best = known.sort((a, b) => b.length - a.length)[0];
  return best === undefined ? broker.detail : `${brokerReasons[best]} (${broker.detail})`;
}

/** Why something failed: in the page's language where it is a known reason, with what was said of it behind. */
export function translateReason(kind: keyof typeof reasons, detail: string): string {
  const known = language === "en" ? undefined : reasons[kind].find(([part]) => detail.includes(part));
  return known === undefined ? detail : `${known[1]} (${detail})`;
}

/** Keeps the reader's choice for a year and loads the page again in that language. */
export function chooseLanguage(code: string): void {
  document.cookie = `rt-language=${code}; path=/; max-age=${YEAR_S}; SameSite=Lax`;
  location.reload();
}

document.documentElement.lang = language;
