import { describe, expect, test } from "vitest";
import { bedrock } from "./bedrock.js";
import { Mistral } from "./mistral.js";
import { summarise } from "./summarise.js";

const TEXT = "The north is cold, and it rains there.\n\nThe south is warm, and it is dry there.";
const SUMMARY = " The north is wet and the south is dry.";

/** Return the summary, and what a person at a terminal sees. */
async function run(runtime, { size, ...options } = {}) {
  const seen = [];
  const screen = {
    show: (piece) => seen.push(piece),
    beginAgain: (reason) => seen.push(`[${reason}]`),
  };
  const mistral = new Mistral(runtime.client(), { pause: 0, ...options });
  const summary = await summarise(TEXT, mistral, screen, size).catch((error) => ({ error }));
  return { ...summary, seen: seen.join("") };
}

describe.concurrent("a summary", () => {
  test("of a short text is one stream", async (context) => {
    const runtime = bedrock(context);
    await runtime.reply(SUMMARY);
    const summary = await run(runtime);
    const [call] = await runtime.requests();

    expect(summary.text).toBe("The north is wet and the south is dry.");
    expect(summary.seen).toBe(summary.text);
    expect(call.operation).toBe("InvokeModelWithResponseStream");
    expect(call.body.temperature).toBe(0);
    expect(call.body.prompt).toMatch(/^<s>\[INST\] Summarise .*dry there\. \[\/INST\]$/s);
  });

  test("of a long text is made of its parts", async (context) => {
    const runtime = bedrock(context);
    await runtime.reply(" Wet.", { when: { prompt: "north is cold" } });
    await runtime.reply(" Dry.", { when: { prompt: "south is warm" } });
    await runtime.reply(SUMMARY, { when: { prompt: "Wet.\n\nDry." } });
    const summary = await run(runtime, { size: 50 });

    expect(summary.text).toBe("The north is wet and the south is dry.");
    expect(await runtime.requests()).toHaveLength(3);
  });

  test("is asked for again by the SDK when Bedrock is unavailable", async (context) => {
    const runtime = bedrock(context);
    await runtime.reply(SUMMARY);
    await runtime.fail("ServiceUnavailableException", { times: 2 });
    const summary = await run(runtime);
    const calls = await runtime.requests();

    expect(summary.text).toBe("The north is wet and the south is dry.");
    expect(calls.map((call) => call.status)).toEqual([503, 503, 200]);
  });

  test.for([
    [{ exception: "ThrottlingException" }, "Too many requests, please wait before trying again."],
    [{ break: "cut" }, "The connection broke."],
  ])("begins again after %o", async ([fault, reason], context) => {
    const runtime = bedrock(context);
    await runtime.reply(SUMMARY);
    await runtime.fail({ ...fault, after_tokens: 3 }, { reply: SUMMARY, times: 1 });
    const summary = await run(runtime);

    expect(summary.seen).toBe(`The north is[${reason}]The north is wet and the south is dry.`);
  });

  test("is given up after three streams", async (context) => {
    const runtime = bedrock(context);
    await runtime.fail({ break: "cut", after_tokens: 3 });
    const { error } = await run(runtime);

    expect(error.message).toBe("The connection broke.");
    expect(await runtime.requests()).toHaveLength(3);
  });

  test("is not asked for twice without access", async (context) => {
    const runtime = bedrock(context);
    await runtime.rule({ state: "access-denied" });
    const { error } = await run(runtime);

    expect(error.name).toBe("AccessDeniedException");
    expect(await runtime.requests()).toHaveLength(1);
  });

  test("says that it was cut at its greatest length", async (context) => {
    const runtime = bedrock(context);
    await runtime.reply(SUMMARY);
    const summary = await run(runtime, { maxTokens: 4 });

    expect(summary.text).toBe("The north is wet");
    expect(summary.stopReason).toBe("length");
  });
});
