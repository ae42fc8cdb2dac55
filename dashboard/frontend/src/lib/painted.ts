// What is below or beside the first thing that a reader looks for comes after that is on the screen.

import { onMounted, ref, type Ref } from "vue";

let done = false;

/** False until the browser has painted the first page that it has loaded; then, and on every later page, true. */
export function usePainted(): Ref<boolean> {
  const painted = ref(done);
  if (!done)
    onMounted(() =>
      // The frame that is asked for is the one with the tiles in it: what is done behind it is done after that.
      window.requestAnimationFrame(() =>
        window.setTimeout(() => {
          done = true;
          painted.value = true;
        }),
      ),
    );
  return painted;
}
