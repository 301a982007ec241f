// The Vercel AI SDK with @ai-sdk/openai, by Chat Completions.
import { openai } from "@ai-sdk/openai";
import { generateText, Output, streamText, tool } from "ai";
import { z } from "zod";

const model = openai.chat("mistral.mistral-large-3-675b-instruct");
const tools = {
  get_weather: tool({
    description: "The weather in a city",
    inputSchema: z.object({ city: z.string() }),
  }),
};
const Report = z.object({
  city: z.string(),
  degrees: z.number().int().min(-90).max(60),
  sky: z.enum(["clear", "cloudy"]),
  wind: z.object({ speed: z.number().min(0), direction: z.enum(["north", "south"]) }),
});

async function shown(result) {
  const usage = await result.usage;
  return {
    text: await result.text,
    stop: await result.finishReason,
    tokens: [usage.inputTokens, usage.outputTokens],
  };
}

async function called(result) {
  const [call] = await result.toolCalls;
  return { name: call.toolName, arguments: call.input, stop: await result.finishReason };
}

const whole = (prompt, more) => generateText({ model, prompt, ...more });
const streamed = (prompt, more) => streamText({ model, prompt, ...more });
const output = Output.object({ schema: Report });
const report = { report: tool({ description: "Report the weather", inputSchema: Report }) };

console.log(
  JSON.stringify({
    plain: await shown(await whole("How is the weather?")),
    streamed: await shown(streamed("How will the weather be?")),
    tool: await called(await whole("How warm is it in Oslo?", { tools })),
    streamed_tool: await called(streamed("How cold is it in Oslo?", { tools })),
    throttled: await shown(await whole("Are you there?")),
    forced: {
      "Output.object": {
        arguments: (await whole("What do you report by Output.object?", { output })).output,
      },
      "toolChoice required": await called(
        await whole("What do you report by toolChoice required?", {
          tools: report,
          toolChoice: "required",
        }),
      ),
    },
    streamed_forced: {
      "toolChoice required": await called(
        streamed("What will you report by toolChoice required?", {
          tools: report,
          toolChoice: "required",
        }),
      ),
    },
  }),
);
