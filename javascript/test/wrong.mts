// Uses of the package that TypeScript refuses: each mark fails if the line below it passes.
import type { Bedrock, ToolCall } from "bedrock-invoke-api";

// @ts-expect-error: a call has a name
export const call: ToolCall = { arguments: {} };

export async function uses(bedrock: Bedrock): Promise<void> {
  // @ts-expect-error: no reply
  await bedrock.reply(7);
  // @ts-expect-error: no condition
  await bedrock.reply("Hi", { promt: "weather" });
  // @ts-expect-error: no operation
  await bedrock.reply("Hi", { operation: "InvokeModl" });
  // @ts-expect-error: no key of a pace
  await bedrock.reply("Hi", { pace: { first: 1 } });
  // @ts-expect-error: no exception
  await bedrock.fail("ThrottledException");
  // @ts-expect-error: no key of a fault
  await bedrock.fail("cut", { after: 3 });
  // @ts-expect-error: no key of a rule
  await bedrock.rule({ replies: "Hi" });
  // @ts-expect-error: no state
  await bedrock.rule({ state: "gone" });
  const [entry] = await bedrock.requests();
  // @ts-expect-error: no key of a call
  console.log(entry?.stauts);
  // @ts-expect-error: no way in which calls end
  console.log(entry?.ended === "stopped");
  // @ts-expect-error: it is not settable
  bedrock.url = "http://127.0.0.1";
}
