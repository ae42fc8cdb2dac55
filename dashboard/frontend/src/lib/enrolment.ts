// How a device is added: its name in topics, the commands to be typed, and how far it has come.

import type { HubInfo } from "@/api/client";
import type { RoomView } from "@/live";

const LONGEST_ID = 64;

export type Stage = "waiting" | "connected" | "heard";

/** The node id of a room's name: "Küche 2" becomes "kuche-2". Empty where nothing of the name can be in a topic. */
export function nodeId(name: string): string {
  return name
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, LONGEST_ID);
}

/** A word of a command for a POSIX shell. */
export const quoted = (word: string) =>
  /^[A-Za-z0-9_./:@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** What is typed at the hub: it makes the join file. Empty where devices log in with a password. */
export function commandAtHub(hub: Pick<HubInfo, "enrol">, node: string): string {
  if (hub.enrol.includes("{node}")) return hub.enrol.replaceAll("{node}", node);
  return hub.enrol ? `${hub.enrol} ${node}` : "";
}

/** What is typed at the device, in a checkout of Roomtone. */
export function commandAtDevice(
  hub: Pick<HubInfo, "enrol" | "device_broker">,
  node: string,
  name: string,
): string {
  const install = "sudo provisioning/install.sh";
  if (hub.enrol) return `${install} --join ${node}.join --code CODE --name ${quoted(name)}`;
  const url = new URL(hub.device_broker.replace(/^mqtt/, "http"));
  const scheme = hub.device_broker.startsWith("mqtts") ? "mqtts" : "mqtt";
  return `${install} --broker ${scheme}://USER@${url.host} --node ${node} --name ${quoted(name)}`;
}

/** How far a device has come, by what is live of its room. */
export function stageOf(room: RoomView | undefined): Stage {
  if (room?.availability !== "online") return "waiting";
  return room.strip.length ? "heard" : "connected";
}
