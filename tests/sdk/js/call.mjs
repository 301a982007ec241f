// Calls endpoints with the AWS SDK for JavaScript and prints what came back, as JSON: for each
// object of the list that it is given, one after another, a list of answers.
// usage: node call.mjs '[{"endpoint", "handler": "default" | "node", "operation": "invoke" | "stream",
//                         "modelId", "body", "pad", "times", "atOnce", "keys", "token"}]'
// "pad" is a number of blanks behind the body; "keys" are an access key's id, secret and session
// token; "token" is an API key, which goes before them.
import {
  BedrockRuntimeClient,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const decoder = new TextDecoder();

async function call(spec) {
  const { endpoint, handler, operation, modelId, pad = 0, times = 1, atOnce = 1, token } = spec;
  const [accessKeyId, secretAccessKey, sessionToken] = spec.keys ?? ["AKIDEXAMPLE", "secret"];
  const body = JSON.stringify(spec.body) + " ".repeat(pad);
  const client = new BedrockRuntimeClient({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId, secretAccessKey, sessionToken },
    ...(token ? { token: { token }, authSchemePreference: ["httpBearerAuth"] } : {}),
    maxAttempts: 1,
    // The default handler speaks HTTP/2 without asking; this one speaks HTTP/1.1.
    ...(handler === "node" ? { requestHandler: new NodeHttpHandler() } : {}),
  });
  const answers = [];
  async function work() {
    while (answers.length < times) {
      const place = answers.push(null) - 1;
      answers[place] = await operations[operation](client, { modelId, body }).catch((error) => ({
        error: error.name,
        message: error.message,
        status: error.$metadata?.httpStatusCode,
      }));
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work));
  client.destroy();
  return answers;
}

async function invoke(client, input) {
  const answer = await client.send(new InvokeModelCommand(input));
  return { contentType: answer.contentType, body: JSON.parse(decoder.decode(answer.body)) };
}

async function stream(client, input) {
  const answer = await client.send(new InvokeModelWithResponseStreamCommand(input));
  const chunks = [];
  for await (const event of answer.body) {
    chunks.push(JSON.parse(decoder.decode(event.chunk.bytes)));
  }
  return { contentType: answer.contentType, chunks };
}

const operations = { invoke, stream };
const answers = [];
for (const spec of JSON.parse(process.argv[2])) {
  answers.push(await call(spec));
}
process.stdout.write(JSON.stringify(answers));
