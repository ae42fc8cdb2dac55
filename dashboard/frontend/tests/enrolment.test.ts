import { describe, expect, it } from "vitest";

import { commandAtDevice, commandAtHub, nodeId, quoted, stageOf } from "@/lib/enrolment";

describe("adding a device", () => {
  it.each([
    ["Kitchen", "kitchen"],
    ["Küche 2", "kuche-2"],
    ["  Anna's room! ", "anna-s-room"],
    ["台所", ""],
  ])("%s has the id %s", (name, id) => expect(nodeId(name)).toBe(id));

  it("quotes what a shell would take apart", () => {
    expect(quoted("Kitchen")).toBe("Kitchen");
    expect(quoted("Anna's $HOME")).toBe("'Anna'\\''s $HOME'");
  });

  it("has one command at the hub and one at the device", () => {
    const hub = { enrol: "roomtone fleet --site /hub/site enrol", device_broker: "mqtts://hub.local:8883" };
    expect(commandAtHub(hub, "kitchen")).toBe("roomtone fleet --site /hub/site enrol kitchen");
    expect(commandAtDevice(hub, "kitchen", "Big kitchen")).toBe(
      "sudo provisioning/install.sh --join kitchen.join --code CODE --name 'Big kitchen'",
    );
  });

  it("names the device where the hub's command has a place for it", () => {
    const hub = { enrol: "enrol {node} --out {node}.join" };
    expect(commandAtHub(hub, "kitchen")).toBe("enrol kitchen --out kitchen.join");
  });

  it("has one command only where devices log in with a password", () => {
    const hub = { enrol: "", device_broker: "mqtts://me@broker.local:8884" };
    expect(commandAtHub(hub, "kitchen")).toBe("");
    expect(commandAtDevice(hub, "kitchen", "Kitchen")).toBe(
      "sudo provisioning/install.sh --broker mqtts://USER@broker.local:8884 --node kitchen --name Kitchen",
    );
  });

  it("goes on from waiting to connected to heard", () => {
    const room = { node: "kitchen", name: "Kitchen", availability: "online", mic: "ok", strip: [] };
    const event = {
      id: "1",
      node: "kitchen",
      at: 1,
      emotion: "happy" as const,
      confidence: 1,
      duration: 1000,
    };
    expect(stageOf(undefined)).toBe("waiting");
    expect(stageOf({ ...room, availability: "offline" })).toBe("waiting");
    expect(stageOf(room)).toBe("connected");
    expect(stageOf({ ...room, strip: [event] })).toBe("heard");
  });
});
