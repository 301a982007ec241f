// Uses of the package that TypeScript accepts.
import { BedrockRuntimeClient } from "@aws-sdk/client-bedrock-runtime";
import { Bedrock, startBedrock, withBedrock, type JournalEntry, type Rule, type ToolCall } from "bedrock-invoke-api";
import setUp from "bedrock-invoke-api/global-setup";

const call: ToolCall = { name: "get_weather", arguments: { city: "Oslo" } };
const storm: Rule = { when: { prompt: "weather" }, fault: "hang", times: 1 };

export async function uses(bedrock: Bedrock): Promise<JournalEntry[]> {
  await bedrock.reply("It rains.");
  await bedrock.reply(["One.", { tool_calls: [call] }], { times: 3, prompt: ["a", { regex: "b+" }], turn: 2 });
  await bedrock.reply({ texts: ["a", "b"], tool_calls: [call] }, { pace: { first_token: 0.5 }, operation: "Converse" });
  await bedrock.fail("ThrottlingException", { times: 2, retry_after: 1000, metadata: { team: "a*" } });
  await bedrock.fail("cut", { reply: "It is", after_tokens: 1 });
  await bedrock.rule(storm);
  await bedrock.rule({ state: "end-of-life", seconds: 5, probability: 0.5 });
  const client = new BedrockRuntimeClient(bedrock.clientOptions);
  client.destroy();
  const lines: string[] = await bedrock.explain();
  const calls = await bedrock.requests();
  const status: number | null | undefined = calls[0]?.status;
  const ended: "stop" | "length" | "repetition" | "error" | "cancelled" | "cut" | null | undefined = calls[0]?.ended;
  console.log(lines, status, ended);
  return calls;
}

export const test: (context: { name: string }, more: number) => Promise<number> = withBedrock(
  async (bedrock, context: { name: string }, more: number) => context.name.length + more + bedrock.url.length,
  { flags: ["--guardrails", "guardrails.yaml"], region: "eu-west-1" },
);

const service = await startBedrock({ command: ["invoke-api"], seconds: 10 });
await uses(new Bedrock(service.url, { model: "mistral.mistral-large-2402-v1:0" }));
await service.stop();
const stop: () => Promise<void> = await setUp();
await stop();
