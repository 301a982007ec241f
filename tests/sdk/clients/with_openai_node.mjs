// openai for Node: Chat Completions, by the client and by its helper for streams.
import OpenAI from "openai";

const model = "mistral.mistral-large-3-675b-instruct";
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
};
const client = new OpenAI();
const asked = (question, more) => ({
  model,
  messages: [{ role: "user", content: question }],
  ...more,
});

function shown({ choices: [choice], usage }) {
  return {
    text: choice.message.content,
    stop: choice.finish_reason,
    tokens: [usage.prompt_tokens, usage.completion_tokens],
  };
}

function called({ choices: [choice] }) {
  const [call] = choice.message.tool_calls;
  return {
    name: call.function.name,
    arguments: JSON.parse(call.function.arguments),
    stop: choice.finish_reason,
  };
}

const whole = (question, more) => client.chat.completions.create(asked(question, more));

function streamed(question, more) {
  const options = { stream_options: { include_usage: true } };
  return client.chat.completions.stream(asked(question, { ...options, ...more })).finalChatCompletion();
}

const tools = { tools: [weather] };
console.log(
  JSON.stringify({
    plain: shown(await whole("How is the weather?")),
    streamed: shown(await streamed("How will the weather be?")),
    tool: called(await whole("How warm is it in Oslo?", tools)),
    streamed_tool: called(await streamed("How cold is it in Oslo?", tools)),
    throttled: shown(await whole("Are you there?")),
  }),
);
