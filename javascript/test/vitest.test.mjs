import { withBedrock } from "bedrock-invoke-api";
import { describe, expect, test } from "vitest";
import { ask } from "./ask.cjs";

describe.concurrent("each test", () => {
  for (const text of [" One.", " Two.", " Three."]) {
    test(`has its own rules and calls:${text}`, withBedrock(async (bedrock, { task }) => {
      await bedrock.reply(text);
      expect(await ask(bedrock, "Hi")).toBe(text);
      expect(await bedrock.requests()).toHaveLength(1);
      expect(task.name).toContain(text);
    }));
  }
});

test("fails and says why", withBedrock(async (bedrock) => {
  await bedrock.reply(" It rains.", { prompt: "Weather" });
  expect(await ask(bedrock, "How is the weather?")).toBe(" It rains.");
}));
