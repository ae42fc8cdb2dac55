// How far a release has come on its way to the devices, in words and numbers.

import type { Model, ModelDevice } from "@/api/client";
import { text } from "@/i18n";

const BUSY = ["checking", "downloading", "unpacking", "validating", "switching", "probation"] as const;
const REFUSED = ["refused", "rolled back"];
const WAITING = ["idle", "offline", "unknown"];

type Busy = (typeof BUSY)[number];
const isBusy = (state: string): state is Busy => (BUSY as readonly string[]).includes(state);

export const isWorking = (device: ModelDevice) => device.online && isBusy(device.state);

/** What a device makes of the newest release that is meant for it. */
export function stateOf(device: ModelDevice): string {
  if (!device.updates) return text.no_updates;
  if (!device.online) return text.offline;
  if (isBusy(device.state)) {
    const percentage = device.percentage === null ? "" : ` ${device.percentage} %`;
    return text.update_states[device.state] + percentage;
  }
  return device.release ? text.runs_release(device.release) : text.runs_shipped;
}

export interface RollOut {
  /** Devices that are meant. */
  all: number;
  parts: { what: keyof typeof text.progress; n: number }[];
  words: string;
}

export function rollOut(model: Model): RollOut {
  const progress = model.progress ?? {};
  const sum = (names: readonly string[]) => names.reduce((total, name) => total + (progress[name] ?? 0), 0);
  const parts = (
    [
      { what: "good", n: sum(["good"]) },
      { what: "working", n: sum(BUSY) },
      { what: "refused", n: sum(REFUSED) },
      { what: "waiting", n: sum(WAITING) },
    ] as const
  ).filter((part) => part.n > 0);
  return {
    all: Object.values(progress).reduce((total, n) => total + n, 0),
    parts: [...parts],
    words: parts.map((part) => text.progress[part.what](part.n)).join(", "),
  };
}
