// Give one test an access key of its own, so that it does not see the rules and calls of other tests.
import { randomBytes } from "node:crypto";
import { BedrockRuntimeClient } from "@aws-sdk/client-bedrock-runtime";

export function bedrock() {
  const url = process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME;
  if (!url) throw new Error("run the tests by: invoke-api exec -- npx vitest run");
  const key = `AKIA${randomBytes(8).toString("hex").toUpperCase()}`;

  async function ask(what, options) {
    const response = await fetch(`${url}/_emulator/${what}?scope=${key}`, options);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }
  const rule = (document) => ask("rules", { method: "POST", body: JSON.stringify(document) });

  return {
    rule,
    reply: (reply, more) => rule({ reply, ...more }),
    fail: (fault, more) => rule({ fault, ...more }),
    requests: async () => (await ask("requests")).requests,
    client: (options) =>
      new BedrockRuntimeClient({
        endpoint: url,
        region: "us-east-1",
        credentials: { accessKeyId: key, secretAccessKey: "test" },
        ...options,
      }),
  };
}
