// ConverseCommand and ConverseStreamCommand of the AWS SDK for JavaScript, by whichever handler.
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";

const LARGE = "mistral.mistral-large-2402-v1:0";
const LARGE_3 = "mistral.mistral-large-3-675b-instruct";
const inputSchema = {
  json: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const toolConfig = {
  tools: [{ toolSpec: { name: "get_weather", description: "The weather in a city", inputSchema } }],
};

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

  async function tool(question) {
    const command = new ConverseCommand({ modelId: LARGE, messages: user(question), toolConfig });
    const answer = await client.send(command);
    const [{ toolUse }] = answer.output.message.content;
    return { name: toolUse.name, arguments: toolUse.input, stop: answer.stopReason };
  }

  async function streamedTool(question) {
    const messages = user(question);
    const command = new ConverseStreamCommand({ modelId: LARGE_3, messages, toolConfig });
    const answer = {};
    let input = "";
    for await (const event of (await client.send(command)).stream) {
      if (event.contentBlockStart) answer.name = event.contentBlockStart.start.toolUse.name;
      input += event.contentBlockDelta?.delta.toolUse.input ?? "";
      if (event.messageStop) answer.stop = event.messageStop.stopReason;
    }
    return { ...answer, arguments: JSON.parse(input) };
  }

  const answers = {
    plain: await plain("How is the weather?"),
    streamed: await streamed("How will the weather be?"),
    tool: await tool("How warm is it in Oslo?"),
    streamed_tool: await streamedTool("How cold is it in Oslo?"),
    throttled: await plain("Are you there?"),
  };
  client.destroy();
  console.log(JSON.stringify(answers));
}
