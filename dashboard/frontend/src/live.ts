// What is live: one WebSocket for the whole application. The server sends everything once, then what has changed.

import { computed, markRaw, onMounted, onUnmounted, reactive, readonly, type Ref, watch } from "vue";

import type { Emotion } from "@/lib/emotions";

export interface Utterance {
  id: string;
  node: string;
  /** Begin of the speech, milliseconds since 1970. */
  at: number;
  emotion: Emotion;
  confidence: number;
  /** Milliseconds. */
  duration: number;
  /** -1 (calmer than is usual in the room) to 1 (more agitated). */
  arousal?: number;
  /** The likeliest label of an uncertain one. */
  maybe?: Emotion;
  /** Of a room that is not in the live state. */
  name?: string;
}

/** How many rooms there are; of a large hub the page has a part of them. */
export interface Totals {
  rooms: number;
  attention: number;
  /** Those that the search finds. */
  matching: number;
  /** The place of the first one shown, from 0. */
  first: number;
  /** How many are shown at once. */
  size: number;
}

/** Which rooms a page wants to see; `room`: the one that it is about. */
export interface Shown {
  first: number;
  search: string;
  room: string;
}

export interface RoomView {
  node: string;
  name: string;
  availability: string;
  mic: string;
  strip: Utterance[];
  emotion?: Emotion;
  confidence?: number;
  since?: number;
  maybe?: Emotion;
  certificate?: number;
  /** Whether an episode of agitation is under way. */
  agitated?: boolean;
  /** Mean arousal of the last utterances, -1 to 1. */
  arousal?: number | null;
  /** Why the microphone is closed. */
  muted_by?: ("device" | "remote" | "quiet_hours")[];
  /** Whether an alert is on. */
  alerted?: boolean;
  /** It is online and sends nothing. */
  silent?: boolean;
  /** An alert, an episode or a problem: it comes first. */
  attention?: boolean;
  /** No device has announced itself: there is only what was recorded. */
  recorded_only?: boolean;
}

export interface SoundLevel {
  dbfs: number;
  speech: boolean;
  at: number;
}

export interface BrokerView {
  state: BrokerState;
  detail: string;
  /** Of the detail, for `brokerReason`. */
  code: string;
}

export interface Patch {
  now?: number;
  broker?: BrokerView;
  rooms?: RoomView[];
  gone?: string[];
  levels?: Record<string, [dbfs: number, speech: boolean]>;
  events?: Utterance[];
  totals?: Totals;
}

export type BrokerState = "connecting" | "connected" | "lost";

const KEPT = 200;
const RETRY_MS = [500, 1000, 2000, 4000];
/** With a check each second and the browser's own delays a silent hub is noticed within five seconds. */
const SILENT_MS = 3000;

interface LiveState {
  rooms: Record<string, RoomView>;
  levels: Record<string, SoundLevel>;
  events: Utterance[];
  broker: BrokerView;
  /** Whether the hub's own socket is open. */
  hub: "connecting" | "connected" | "lost";
  totals: Totals;
  /** The server's clock, milliseconds since 1970, moved on once a second. */
  now: number;
}

const state = reactive<LiveState>({
  rooms: {},
  levels: {},
  events: [],
  broker: { state: "connecting", detail: "", code: "" },
  hub: "connecting",
  totals: { rooms: 0, attention: 0, matching: 0, first: 0, size: 0 },
  now: Date.now(),
});
export const live = readonly(state) as Readonly<LiveState>;
/** Whether what is shown may be out of date. */
export const isLost = computed(() => state.broker.state === "lost" || state.hub === "lost");

let skew = 0;
let socket: WebSocket | undefined;
let failures = 0;
let started = false;
let heardAt = 0;
const listeners = new Set<(events: Utterance[]) => void>();

/** Calls back with new utterances; returns the function that ends it. */
export function onUtterances(listener: (events: Utterance[]) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Applies what the server sent. Exported for tests. */
export function apply(patch: Patch, whole = false): void {
  const before = state.rooms;
  if (whole) {
    state.rooms = {};
    state.levels = {};
  }
  if (patch.now) skew = patch.now - Date.now();
  tick();
  if (patch.broker) state.broker = patch.broker;
  if (patch.totals) state.totals = patch.totals;
  if (patch.gone) {
    const isThere = ([node]: [string, unknown]) => !patch.gone?.includes(node);
    state.rooms = Object.fromEntries(Object.entries(state.rooms).filter(isThere));
    state.levels = Object.fromEntries(Object.entries(state.levels).filter(isThere));
  }
  // A room or utterance is replaced as a whole: to watch each of its fields would take most of the time of a page.
  // What has not changed since the page came stays: its tile is not drawn again.
  for (const room of patch.rooms ?? []) {
    const known = whole ? before[room.node] : undefined;
    const isSame = known !== undefined && JSON.stringify(known) === JSON.stringify(room);
    state.rooms[room.node] = isSame ? known : markRaw(room);
  }
  for (const [node, [dbfs, speech]] of Object.entries(patch.levels ?? {}))
    state.levels[node] = { dbfs, speech, at: state.now };
  if (patch.events?.length) {
    const known = new Set(state.events.map((event) => event.id));
    const fresh = patch.events.filter((event) => !known.has(event.id)).map(markRaw);
    state.events = [...fresh, ...state.events].sort((a, b) => b.at - a.at).slice(0, KEPT);
    if (fresh.length) listeners.forEach((listener) => listener(fresh));
  }
}

function tick(): void {
  state.now = Date.now() + skew;
}

let levelsShown = 0;

/** Asks for sound levels while the component is there: devices publish them only on request. */
export function useLevels(): void {
  onMounted(() => {
    levelsShown++;
    sendState();
  });
  onUnmounted(() => {
    levelsShown--;
    sendState();
  });
}

let shown: Shown = { first: 0, search: "", room: "" };

/** Asks for other rooms; what is left out stays as it is. */
export function show(part: Partial<Shown>): void {
  shown = { ...shown, ...part };
  sendState();
}

/** Whether the page has all rooms of the hub. */
export const hasAllRooms = () => Object.keys(state.rooms).length >= state.totals.rooms;

/** Asks for a room while the component is there, wherever it is in the order. */
export function useRoom(node: Ref<string>): void {
  watch(node, (room) => show({ room }), { immediate: true });
  onUnmounted(() => show({ room: "" }));
}

const sendState = () => send({ visible: !document.hidden, levels: levelsShown > 0, show: shown });

function send(message: { visible: boolean; levels: boolean; show: Shown } | { ping: true }): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function open(): void {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`);
  let first = true;
  heardAt = Date.now();
  socket.onopen = sendState;
  socket.onmessage = ({ data }) => {
    heardAt = Date.now();
    failures = 0;
    state.hub = "connected";
    const message = JSON.parse(String(data)) as Patch & { pong?: boolean };
    if (message.pong) return;
    apply(message, first);
    first = false;
  };
  socket.onclose = () => void retry();
}

async function retry(): Promise<void> {
  socket = undefined;
  if (!started) return;
  state.hub = "lost";
  // A session that has ended is not let in again: without this the page would try for ever, where a login is asked for.
  const reply = await fetch("/api/me").catch(() => undefined);
  if (reply?.status === 401) {
    location.reload();
    return;
  }
  window.setTimeout(() => started && open(), RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
}

/** Closes the socket for good: a guest is shown nothing of what is live. */
export function stop(): void {
  started = false;
  socket?.close();
}

/** Connects, once for the whole application. */
export function start(): void {
  if (started) return;
  started = true;
  open();
  window.setInterval(() => {
    if (!document.hidden) tick();
    // The page may have come with rooms in it: they are old when no connection follows.
    if (state.hub === "connecting" && Date.now() - heardAt > SILENT_MS) state.hub = "lost";
    if (socket?.readyState === WebSocket.OPEN) {
      // A frozen server or a network that swallows packets closes no socket: ask, and give up without an answer.
      if (Date.now() - heardAt > SILENT_MS) {
        // At once: the browser waits for a frozen peer before it says that the socket is closed.
        state.hub = "lost";
        socket.close();
      } else if (Date.now() - heardAt > SILENT_MS / 2) send({ ping: true });
    }
  }, 1000);
  window.addEventListener("offline", () => {
    state.hub = "lost";
    socket?.close();
  });
  document.addEventListener("visibilitychange", () => {
    heardAt = Date.now();
    sendState();
    if (!document.hidden) tick();
  });
}
