// The AWS SDK for JavaScript: InvokeEndpoint and its stream.
import {
  InvokeEndpointCommand,
  InvokeEndpointWithResponseStreamCommand,
  SageMakerRuntimeClient,
} from "@aws-sdk/client-sagemaker-runtime";

const client = new SageMakerRuntimeClient({});
const EndpointName = "huggingface-llm-mistral-7b-instruct";

function request(question, more = {}) {
  const inputs = `<s>[INST] ${question} [/INST]`;
  return { EndpointName, ContentType: "application/json", Body: JSON.stringify({ inputs, ...more }) };
}

async function plain(question) {
  const answer = await client.send(new InvokeEndpointCommand(request(question)));
  const [generated] = JSON.parse(new TextDecoder().decode(answer.Body));
  return { text: generated.generated_text };
}

async function streamed(question) {
  const command = new InvokeEndpointWithResponseStreamCommand(request(question, { stream: true }));
  const decoder = new TextDecoder();
  let data = "";
  for await (const event of (await client.send(command)).Body) {
    data += decoder.decode(event.PayloadPart.Bytes, { stream: true });
  }
  const events = data.trim().split("\n\n").map((line) => JSON.parse(line.slice("data:".length)));
  return { text: events.at(-1).generated_text };
}

console.log(
  JSON.stringify({
    plain: await plain("How is the weather?"),
    streamed: await streamed("How will the weather be?"),
    throttled: await plain("Are you there?"),
  }),
);
