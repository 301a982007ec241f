import assert from "node:assert/strict";
import { test } from "node:test";
import { withBedrock } from "bedrock-invoke-api";
import { ask } from "./ask.cjs";

test("a test has its own rules and calls", withBedrock(async (bedrock, context) => {
  await bedrock.reply(" One.");
  assert.equal(await ask(bedrock, "Hi"), " One.");
  assert.equal((await bedrock.requests()).length, 1);
  assert.equal(context.name, "a test has its own rules and calls");
}));

test("fails and says why", withBedrock(async (bedrock) => {
  await bedrock.reply(" It rains.", { prompt: "Weather" });
  assert.equal(await ask(bedrock, "How is the weather?"), " It rains.");
}));
