// The data of a room's page: the period in the address, its utterances, and what it is compared with.

import { computed, onUnmounted, ref, shallowRef, watch, type Ref } from "vue";
import { useRoute, useRouter } from "vue-router";

import { ApiError } from "@/api/client";
import { hub } from "@/hub";
import { EMOTIONS } from "@/lib/emotions";
import { filterQuery, fromQuery, isWanted, neighbour, spanOf, toQuery, type PeriodState } from "@/lib/period";
import { usePolling } from "@/lib/poll";
import { STEPS, periodOf, utterancesOf, type Period } from "@/lib/records";
import { hasAllRooms, live, onUtterances, type Utterance } from "@/live";

const REFRESH_MS = 60_000;
const PAGE = 100;
/** HTTP status of a room that does not exist, and of a name that cannot be one. */
const UNKNOWN = [404, 422];
const NODE = /^[a-z0-9_-]{1,64}$/;

export function useRoomPeriod(node: Ref<string>) {
  const route = useRoute();
  const router = useRouter();
  const period = shallowRef<Period>();
  const other = shallowRef<Period>();
  const events = shallowRef<Utterance[]>([]);
  const complete = ref(true);
  const failed = ref(false);
  const unknown = ref(false);
  let asked = 0;

  /**
   * Rooms that are live or recorded are in the live state; undefined until it has arrived. Of a large hub it has a part:
   * there the hub is asked.
   */
  const isKnown = (name: string) =>
    name in live.rooms || (live.hub === "connected" ? !hasAllRooms() && NODE.test(name) : undefined);
  const state = computed(() => fromQuery(route.query, new Date(live.now)));
  const span = computed(() => spanOf(state.value.view, state.value.day));
  /** What the list shows and what is exported: what was clicked, or the whole period. */
  const seen = computed(() => state.value.selected ?? span.value);

  function change(part: Partial<PeriodState>): void {
    const query = toQuery({ ...state.value, ...part }, new Date(live.now));
    void router.push({ path: route.path, query });
  }

  function fail(error: unknown): void {
    unknown.value = error instanceof ApiError && UNKNOWN.includes(error.status);
    failed.value = !unknown.value;
  }

  async function load(): Promise<void> {
    const known = isKnown(node.value);
    unknown.value = !NODE.test(node.value) || known === false;
    // A room that does not exist is not requested: that would be an error in the browser's console.
    if (!hub.recorded || unknown.value || !known) return;
    const request = ++asked;
    const { view, day } = state.value;
    const compare =
      state.value.compare === "previous" || isKnown(state.value.compare) ? state.value.compare : "";
    const filters = filterQuery(state.value);
    const isPrevious = compare === "previous";
    const otherSpan = isPrevious ? spanOf(view, neighbour(view, day, -1)) : span.value;
    try {
      const [mine, theirs, list] = await Promise.all([
        periodOf(node.value, span.value, STEPS[view], filters, view === "day"),
        compare ? periodOf(isPrevious ? node.value : compare, otherSpan, STEPS[view], filters) : undefined,
        utterancesOf(node.value, seen.value, filters, PAGE),
      ]);
      // An answer that was overtaken by a later question is of no use.
      if (request !== asked) return;
      [period.value, other.value] = [mine, theirs];
      events.value = list;
      complete.value = list.length < PAGE;
      failed.value = false;
    } catch (error) {
      if (request === asked) fail(error);
    }
  }

  async function more(): Promise<void> {
    const before = events.value.at(-1)?.at ?? seen.value.to;
    try {
      const list = await utterancesOf(
        node.value,
        { ...seen.value, to: before },
        filterQuery(state.value),
        PAGE,
      );
      complete.value = list.length < PAGE;
      merge(list);
    } catch (error) {
      fail(error);
    }
  }

  function merge(found: readonly Utterance[]): void {
    // The same utterance comes live and from the database.
    const known = new Set(events.value.map((e) => e.id));
    events.value = [...events.value, ...found.filter((e) => !known.has(e.id))].sort((a, b) => b.at - a.at);
  }

  const stop = onUtterances((fresh) => {
    const mine = fresh.filter(
      (e) =>
        e.node === node.value && e.at >= seen.value.from && e.at < seen.value.to && isWanted(state.value, e),
    );
    if (!mine.length) return;
    merge(mine);
    const shown = period.value;
    if (!shown || state.value.view !== "day" || state.value.selected) return;
    const marks = mine.map((e): Period["marks"][number] => [
      e.at,
      EMOTIONS.indexOf(e.emotion),
      Math.round(e.confidence * 1000),
      e.duration,
      e.arousal === undefined ? null : Math.round(e.arousal * 1000),
    ]);
    const known = new Set(shown.marks.map(([at]) => at));
    period.value = { ...shown, marks: [...shown.marks, ...marks.filter(([at]) => !known.has(at))] };
  });
  onUnmounted(stop);

  watch(
    node,
    () => {
      [period.value, other.value] = [undefined, undefined];
      // Without a database there is what was live since the page was opened.
      events.value = (live.events as Utterance[]).filter((e) => e.node === node.value);
      complete.value = true;
    },
    { immediate: true },
  );
  watch(
    [node, () => isKnown(node.value), () => JSON.stringify(toQuery(state.value, new Date(live.now)))],
    () => void load(),
    { immediate: true },
  );
  usePolling(() => {
    // What is over does not change.
    if (period.value && seen.value.to > live.now) void load();
  }, REFRESH_MS);

  return { state, span, seen, period, other, events, complete, failed, unknown, change, load, more };
}
