// Give one test an access key of its own, so that it does not see the rules and calls of other tests.
import { randomBytes } from "node:crypto";
import { BedrockRuntimeClient } from "@aws-sdk/client-bedrock-runtime";

// In vitest, pass the test's context: the error of a failed test then says which rules matched, and why others did not.
export function bedrock(context) {
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

  const explain = async () => (await ask("explain")).report.join("\n");
  context?.onTestFailed?.(async ({ task }) => {
    const [error] = task.result.errors;
    const { message } = error;
    error.message += `\n\nBedrock rules:\n${await explain()}`;
    error.stack = error.stack?.replace(message, () => error.message); // some reporters show the stack only
  });

  return {
    rule,
    reply: (reply, more) => rule({ reply, ...more }),
    fail: (fault, more) => rule({ fault, ...more }),
    requests: async () => (await ask("requests")).requests,
    explain,
    client: (options) =>
      new BedrockRuntimeClient({
        endpoint: url,
        region: "us-east-1",
        credentials: { accessKeyId: key, secretAccessKey: "test" },
        ...options,
      }),
  };
}
