import { describe, expect, it } from "vitest";

import { describeAgent } from "@/lib/agent";

describe("a browser's own description", () => {
  it.each([
    ["Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox, Linux"],
    [
      "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0 Mobile Safari/537.36",
      "Chrome, Android",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1 Version/17.5 Mobile Safari/604.1",
      "Safari, iPhone",
    ],
    ["python-httpx/0.28.1", "python-httpx"],
    ["", ""],
  ])("%s", (agent, words) => expect(describeAgent(agent)).toBe(words));
});
