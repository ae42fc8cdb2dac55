// Shared by all pages: theme, language, wall display (?wall), and calls to the API.

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const YEAR_S = 31_536_000;

const remember = (name, value) => (document.cookie = `${name}=${value}; path=/; max-age=${YEAR_S}; SameSite=Lax`);
const chosen = (document.cookie.match(/(?:^|; )rt-theme=(dark|light)/) || [])[1];
if (chosen) root.dataset.theme = chosen;
if (new URLSearchParams(location.search).has("wall")) root.classList.add("rt-wall");

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

document.addEventListener("click", (event) => {
  const button = event.target.closest && event.target.closest("[data-rt]");
  if (!button) return;
  if (button.dataset.rt === "theme") {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember("rt-theme", root.dataset.theme);
    window.dispatchEvent(new Event("rt-theme"));
  } else {
    remember("rt-language", button.dataset.rt);
    location.reload();
  }
});
system.addEventListener("change", () => window.dispatchEvent(new Event("rt-theme")));

// When the session has ended the socket is refused: reload, which leads to the login. NiceGUI creates the socket later.
const waiting = setInterval(() => {
  if (!window.socket) return;
  clearInterval(waiting);
  window.socket.on("connect_error", async () => {
    const reply = await fetch("/api/rooms", { method: "HEAD" }).catch(() => null);
    if (reply && reply.status === 401) location.reload();
  });
}, 200);

// Calls the API and returns the answer; throws an Error with a readable message.
export async function call(method, path, body) {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const reply = await fetch(`/api/${path}`, options);
  if (reply.status === 401) location.reload();
  const answer = reply.status === 204 ? null : await reply.json();
  if (!reply.ok) throw new Error((answer && answer.error) || `${reply.status}`);
  return answer;
}

// Calls `ask` at once and then periodically while the page is visible; returns a function that stops it.
export function poll(ask, everyMs) {
  const refresh = () => !document.hidden && ask();
  const ticker = setInterval(refresh, everyMs);
  document.addEventListener("visibilitychange", refresh);
  ask();
  return () => {
    clearInterval(ticker);
    document.removeEventListener("visibilitychange", refresh);
  };
}
