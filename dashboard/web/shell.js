// What every page has: dark or light, the other language, the view for a wall (?wall), and calls to the API.

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

// Whose session has ended is not let in again: without this the page would try for ever, where a login is asked for.
// NiceGUI makes the socket after it has loaded this.
const waiting = setInterval(() => {
  if (!window.socket) return;
  clearInterval(waiting);
  window.socket.on("connect_error", async () => {
    const reply = await fetch("/api/rooms", { method: "HEAD" }).catch(() => null);
    if (reply && reply.status === 401) location.reload();
  });
}, 200);

// An answer of the API; throws an Error with words for people.
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

// Asks again and again while somebody can see the page; returns how to end it.
export function poll(ask, everyMs) {
  const look = () => !document.hidden && ask();
  const ticker = setInterval(look, everyMs);
  document.addEventListener("visibilitychange", look);
  ask();
  return () => {
    clearInterval(ticker);
    document.removeEventListener("visibilitychange", look);
  };
}
