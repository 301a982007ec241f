// ConverseCommand and ConverseStreamCommand of the AWS SDK for JavaScript, by whichever handler.
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";

const LARGE = "mistral.mistral-large-2402-v1:0";
const LARGE_3 = "mistral.mistral-large-3-675b-instruct";
const CHATS = [
  "mistral.ministral-3-8b-instruct",
  "us.mistral.pixtral-large-2502-v1:0",
  "mistral.mistral-large-2407-v1:0",
];
const inputSchema = {
  json: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const toolConfig = {
  tools: [{ toolSpec: { name: "get_weather", description: "The weather in a city", inputSchema } }],
};
const report = {
  type: "object",
  properties: {
    city: { type: "string" },
    degrees: { type: "integer", minimum: -90, maximum: 60 },
    sky: { enum: ["clear", "cloudy"] },
  },
  required: ["city", "degrees", "sky"],
};
const reporting = (toolChoice) => ({
  tools: [
    {
      toolSpec: {
        name: "report",
        description: "Report the weather",
        inputSchema: { json: report },
      },
    },
  ],
  toolChoice,
});
const ANY = reporting({ any: {} });
const NAMED = reporting({ tool: { name: "report" } });

export async function converse(options) {
  const client = new BedrockRuntimeClient(options);
  const user = (text) => [{ role: "user", content: [{ text }] }];

  async function plain(question) {
    const answer = await client.send(
      new ConverseCommand({ modelId: LARGE, messages: user(question) }),
    );
    return {
      text: answer.output.message.content[0].text,
      stop: answer.stopReason,
      tokens: [answer.usage.inputTokens, answer.usage.outputTokens],
    };
  }

  async function streamed(question) {
    const command = new ConverseStreamCommand({ modelId: LARGE, messages: user(question) });
    const answer = { text: "" };
    for await (const event of (await client.send(command)).stream) {
      answer.text += event.contentBlockDelta?.delta.text ?? "";
      if (event.messageStop) answer.stop = event.messageStop.stopReason;
      const usage = event.metadata?.usage;
      if (usage) answer.tokens = [usage.inputTokens, usage.outputTokens];
    }
    return answer;
  }

  async function tool(question, modelId = LARGE, config = toolConfig) {
    const messages = user(question);
    const command = new ConverseCommand({ modelId, messages, toolConfig: config });
    const answer = await client.send(command);
    const [{ toolUse }] = answer.output.message.content;
    return { name: toolUse.name, arguments: toolUse.input, stop: answer.stopReason };
  }

  async function streamedTool(question, config = toolConfig) {
    const messages = user(question);
    const asked = { modelId: LARGE_3, messages, toolConfig: config };
    const command = new ConverseStreamCommand(asked);
    const answer = {};
    let input = "";
    for await (const event of (await client.send(command)).stream) {
      if (event.contentBlockStart) answer.name = event.contentBlockStart.start.toolUse.name;
      input += event.contentBlockDelta?.delta.toolUse.input ?? "";
      if (event.messageStop) answer.stop = event.messageStop.stopReason;
    }
    return { ...answer, arguments: JSON.parse(input) };
  }

  const request = (question, modelId) => ({
    modelId,
    body: JSON.stringify({ messages: [{ role: "user", content: `${question} by ${modelId}?` }] }),
  });
  const decode = (bytes) => JSON.parse(new TextDecoder().decode(bytes));
  const read = (choice, { usage }) => ({
    text: (choice.message ?? choice.delta).content,
    stop: choice.finish_reason ?? choice.stop_reason,
    tokens: [usage?.prompt_tokens, usage?.completion_tokens],
  });

  async function invoked(modelId) {
    const { body } = await client.send(new InvokeModelCommand(request("Who answers", modelId)));
    const answer = decode(body);
    return read(answer.choices[0], answer);
  }

  async function streamedInvoked(modelId) {
    const asked = request("Who will answer", modelId);
    const { body } = await client.send(new InvokeModelWithResponseStreamCommand(asked));
    let text = "";
    let last;
    for await (const { chunk } of body) {
      const part = decode(chunk.bytes);
      last = read(part.choices[0], part);
      text += last.text;
    }
    return { ...last, text };
  }

  async function ofEach(ask) {
    const got = {};
    for (const modelId of CHATS) got[modelId] = await ask(modelId);
    return got;
  }

  const answers = {
    plain: await plain("How is the weather?"),
    streamed: await streamed("How will the weather be?"),
    tool: await tool("How warm is it in Oslo?"),
    streamed_tool: await streamedTool("How cold is it in Oslo?"),
    throttled: await plain("Are you there?"),
    forced: {
      "toolChoice any": await tool("What do you report by toolChoice any?", LARGE, ANY),
      "toolChoice tool": await tool("What do you report by toolChoice tool?", LARGE_3, NAMED),
    },
    streamed_forced: {
      "toolChoice any": await streamedTool("What will you report by toolChoice any?", ANY),
      "toolChoice tool": await streamedTool("What will you report by toolChoice tool?", NAMED),
    },
    invoked: await ofEach(invoked),
    streamed_invoked: await ofEach(streamedInvoked),
  };
  client.destroy();
  console.log(JSON.stringify(answers));
}
