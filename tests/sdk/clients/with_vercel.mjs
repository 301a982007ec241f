// The Vercel AI SDK with @ai-sdk/amazon-bedrock.
import { bedrock } from "@ai-sdk/amazon-bedrock";
import {
  generateObject,
  generateText,
  Output,
  stepCountIs,
  streamObject,
  streamText,
  tool,
} from "ai";
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
const Report = z.object({
  city: z.string(),
  degrees: z.number().int().min(-90).max(60),
  sky: z.enum(["clear", "cloudy"]),
  wind: z.object({ speed: z.number().min(0), direction: z.enum(["north", "south"]) }),
});
const report = tool({ description: "Report the weather", inputSchema: Report });
const output = Output.object({ schema: Report });

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

async function reporting(result) {
  const [call] = await result.toolCalls;
  return {
    name: call.toolName,
    arguments: Report.parse(call.input),
    stop: await result.finishReason,
  };
}

async function forced(question) {
  const ask = (way, more) => ({ prompt: `${question} by ${way}?`, ...more });
  const byOutput = ask("Output.object", { model: large, output });
  const byObject = ask("generateObject", { model: large, schema: Report });
  const tools = { report };
  const named = { type: "tool", toolName: "report" };
  return {
    "Output.object": { arguments: (await generateText(byOutput)).output },
    generateObject: { arguments: (await generateObject(byObject)).object },
    "toolChoice required": await reporting(
      await generateText(
        ask("toolChoice required", { model: large, tools, toolChoice: "required" }),
      ),
    ),
    "toolChoice tool": await reporting(
      await generateText(ask("toolChoice tool", { model: large3, tools, toolChoice: named })),
    ),
  };
}

async function streamedForced(question) {
  const ask = (way, more) => ({ prompt: `${question} by ${way}?`, model: large3, ...more });
  const objects = streamObject(ask("streamObject", { schema: Report }));
  for await (const _ of objects.partialObjectStream);
  const tools = { report };
  const named = { type: "tool", toolName: "report" };
  return {
    "Output.object": { arguments: await streamText(ask("Output.object", { output })).output },
    streamObject: { arguments: await objects.object },
    "toolChoice required": await reporting(
      streamText(ask("toolChoice required", { tools, toolChoice: "required" })),
    ),
    "toolChoice tool": await reporting(
      streamText(ask("toolChoice tool", { tools, toolChoice: named })),
    ),
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
  forced: await forced("What do you report"),
  streamed_forced: await streamedForced("What will you report"),
};
console.log(JSON.stringify(answers));
