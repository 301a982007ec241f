// The Vercel AI SDK with @ai-sdk/amazon-bedrock.
import { bedrock } from "@ai-sdk/amazon-bedrock";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const large = bedrock("mistral.mistral-large-2402-v1:0");
const large3 = bedrock("mistral.mistral-large-3-675b-instruct");
const tools = {
  get_weather: tool({
    description: "The weather in a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `7 degrees in ${city}`,
  }),
};

async function shown(result) {
  const usage = await result.usage;
  return {
    text: await result.text,
    stop: await result.finishReason,
    tokens: [usage.inputTokens, usage.outputTokens],
  };
}

async function called(result) {
  const [{ toolCalls, finishReason }] = await result.steps;
  const [call] = toolCalls;
  return {
    name: call.toolName,
    arguments: call.input,
    stop: finishReason,
    end: await result.text,
  };
}

const plain = (prompt) => generateText({ model: large, prompt });
const agent = { tools, stopWhen: stepCountIs(2) };
const answers = {
  plain: await shown(await plain("How is the weather?")),
  streamed: await shown(streamText({ model: large, prompt: "How will the weather be?" })),
  tool: await called(
    await generateText({ model: large, prompt: "How warm is it in Oslo?", ...agent }),
  ),
  streamed_tool: await called(
    streamText({ model: large3, prompt: "How cold is it in Oslo?", ...agent }),
  ),
  throttled: await shown(await plain("Are you there?")),
};
console.log(JSON.stringify(answers));
