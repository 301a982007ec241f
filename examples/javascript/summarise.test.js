import { BedrockRuntimeClient } from "@aws-sdk/client-bedrock-runtime";
import { withBedrock } from "bedrock-invoke-api";
import { describe, expect, test } from "vitest";
import { Mistral } from "./mistral.js";
import { summarise } from "./summarise.js";

const TEXT = "The north is cold, and it rains there.\n\nThe south is warm, and it is dry there.";
const SUMMARY = " The north is wet and the south is dry.";

/** Return the summary, and what a person at a terminal sees. */
async function run(bedrock, { size, ...options } = {}) {
  const seen = [];
  const screen = {
    show: (piece) => seen.push(piece),
    beginAgain: (reason) => seen.push(`[${reason}]`),
  };
  const mistral = new Mistral(new BedrockRuntimeClient(bedrock.clientOptions), { pause: 0, ...options });
  const summary = await summarise(TEXT, mistral, screen, size).catch((error) => ({ error }));
  return { ...summary, seen: seen.join("") };
}

describe.concurrent("a summary", () => {
  test("of a short text is one stream", withBedrock(async (bedrock) => {
    await bedrock.reply(SUMMARY);
    const summary = await run(bedrock);
    const [call] = await bedrock.requests();

    expect(summary.text).toBe("The north is wet and the south is dry.");
    expect(summary.seen).toBe(summary.text);
    expect(call.operation).toBe("InvokeModelWithResponseStream");
    expect(call.body.temperature).toBe(0);
    expect(call.body.prompt).toMatch(/^<s>\[INST\] Summarise .*dry there\. \[\/INST\]$/s);
  }));

  test("of a long text is made of its parts", withBedrock(async (bedrock) => {
    await bedrock.reply(" Wet.", { prompt: "north is cold" });
    await bedrock.reply(" Dry.", { prompt: "south is warm" });
    await bedrock.reply(SUMMARY, { prompt: "Wet.\n\nDry." });
    const summary = await run(bedrock, { size: 50 });

    expect(summary.text).toBe("The north is wet and the south is dry.");
    expect(await bedrock.requests()).toHaveLength(3);
  }));

  test("is asked for again by the SDK when Bedrock is unavailable", withBedrock(async (bedrock) => {
    await bedrock.reply(SUMMARY);
    await bedrock.fail("ServiceUnavailableException", { times: 2 });
    const summary = await run(bedrock);
    const calls = await bedrock.requests();

    expect(summary.text).toBe("The north is wet and the south is dry.");
    expect(calls.map((call) => call.status)).toEqual([503, 503, 200]);
  }));

  test.for([
    ["ThrottlingException", "Too many requests, please wait before trying again."],
    ["cut", "The connection broke."],
  ])("begins again after %s", ([fault, reason]) => withBedrock(async (bedrock) => {
    await bedrock.reply(SUMMARY);
    await bedrock.fail(fault, { after_tokens: 3, reply: SUMMARY, times: 1 });
    const summary = await run(bedrock);

    expect(summary.seen).toBe(`The north is[${reason}]The north is wet and the south is dry.`);
  })());

  test("is given up after three streams", withBedrock(async (bedrock) => {
    await bedrock.fail("cut", { after_tokens: 3 });
    const { error } = await run(bedrock);

    expect(error.message).toBe("The connection broke.");
    expect(await bedrock.requests()).toHaveLength(3);
  }));

  test("is not asked for twice without access", withBedrock(async (bedrock) => {
    await bedrock.rule({ state: "access-denied" });
    const { error } = await run(bedrock);

    expect(error.name).toBe("AccessDeniedException");
    expect(await bedrock.requests()).toHaveLength(1);
  }));

  test("says that it was cut at its greatest length", withBedrock(async (bedrock) => {
    await bedrock.reply(SUMMARY);
    const summary = await run(bedrock, { maxTokens: 4 });

    expect(summary.text).toBe("The north is wet");
    expect(summary.stopReason).toBe("length");
  }));
});
