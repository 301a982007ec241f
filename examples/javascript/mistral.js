// Ask Mistral 7B on Amazon Bedrock, for a whole answer or a stream.
import { setTimeout as sleep } from "node:timers/promises";
import {
  BedrockRuntimeServiceException,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";

const MODEL = "mistral.mistral-7b-instruct-v0:2";
const ATTEMPTS = 3; // of a stream; the SDK has its own attempts to open one
const BROKE = "The connection broke.";

// Exceptions inside a stream that are worth another attempt.
const PASSING = new Set([
  "InternalServerException",
  "ModelStreamErrorException",
  "ModelTimeoutException",
  "ServiceUnavailableException",
  "ThrottlingException",
]);

/** A stream that ended before its answer, for a reason that may pass. */
export class Interrupted extends Error {}

export class Mistral {
  constructor(client, { maxTokens = 400, pause = 1000 } = {}) {
    Object.assign(this, { client, maxTokens, pause });
  }

  async answer(prompt) {
    const { body } = await this.client.send(new InvokeModelCommand(this.#request(prompt)));
    const [output] = JSON.parse(body.transformToString()).outputs;
    return { text: output.text.trim(), stopReason: output.stop_reason };
  }

  /** Pass each piece of text to `show`. After an interruption, call `beginAgain` and start again. */
  async stream(prompt, { show, beginAgain }) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(prompt, show);
      } catch (error) {
        if (!(error instanceof Interrupted) || attempt === ATTEMPTS) throw error;
        beginAgain(error.message);
      }
      await sleep(this.pause * attempt);
    }
  }

  async #attempt(prompt, show) {
    let text = "";
    let stopReason = null;
    for await (const output of this.#outputs(prompt)) {
      const piece = text ? output.text : output.text.trimStart();
      stopReason = output.stop_reason;
      text += piece;
      show(piece);
    }
    // The SDK does not report every connection that is closed too early.
    if (!stopReason) throw new Interrupted(BROKE);
    return { text: text.trim(), stopReason };
  }

  async *#outputs(prompt) {
    const command = new InvokeModelWithResponseStreamCommand(this.#request(prompt));
    const { body } = await this.client.send(command);
    try {
      for await (const { chunk } of body) {
        yield JSON.parse(new TextDecoder().decode(chunk.bytes)).outputs[0];
      }
    } catch (error) {
      const ofBedrock = error instanceof BedrockRuntimeServiceException;
      if (ofBedrock && !PASSING.has(error.name)) throw error;
      throw new Interrupted(ofBedrock ? error.message : BROKE, { cause: error });
    }
  }

  #request(prompt) {
    const body = JSON.stringify({ prompt, max_tokens: this.maxTokens, temperature: 0 });
    return { modelId: MODEL, body };
  }
}

export const toPrompt = (instruction, text) => `<s>[INST] ${instruction}\n\n${text} [/INST]`;
