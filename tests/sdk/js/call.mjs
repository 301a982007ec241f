// Calls an endpoint with the AWS SDK for JavaScript and prints what came back, as JSON.
// usage: node call.mjs '{"endpoint", "handler": "default" | "node", "operation": "invoke" | "stream",
//                        "modelId", "body", "pad", "times", "atOnce", "keys", "token"}'
// "pad" is a number of blanks behind the body; "keys" are an access key's id, secret and session
// token; "token" is an API key, which goes before them.
import {
  BedrockRuntimeClient,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const spec = JSON.parse(process.argv[2]);
const { endpoint, handler, operation, modelId, pad = 0, times = 1, atOnce = 1, token } = spec;
const [accessKeyId, secretAccessKey, sessionToken] = spec.keys ?? ["AKIDEXAMPLE", "secret"];
const body = JSON.stringify(spec.body) + " ".repeat(pad);
const decoder = new TextDecoder();
const client = new BedrockRuntimeClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId, secretAccessKey, sessionToken },
  ...(token ? { token: { token }, authSchemePreference: ["httpBearerAuth"] } : {}),
  maxAttempts: 1,
  // The default handler speaks HTTP/2 without asking; this one speaks HTTP/1.1.
  ...(handler === "node" ? { requestHandler: new NodeHttpHandler() } : {}),
});

async function invoke() {
  const answer = await client.send(new InvokeModelCommand({ modelId, body }));
  return { contentType: answer.contentType, body: JSON.parse(decoder.decode(answer.body)) };
}

async function stream() {
  const command = new InvokeModelWithResponseStreamCommand({ modelId, body });
  const answer = await client.send(command);
  const chunks = [];
  for await (const event of answer.body) {
    chunks.push(JSON.parse(decoder.decode(event.chunk.bytes)));
  }
  return { contentType: answer.contentType, chunks };
}

const operations = { invoke, stream };
const answers = [];
async function work() {
  while (answers.length < times) {
    const place = answers.push(null) - 1;
    answers[place] = await operations[operation]().catch((error) => ({
      error: error.name,
      message: error.message,
      status: error.$metadata?.httpStatusCode,
    }));
  }
}
await Promise.all(Array.from({ length: atOnce }, work));
process.stdout.write(JSON.stringify(answers));
