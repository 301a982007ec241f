// A Bedrock for tests: start the service or use a running one, set its answers, and read its calls.
"use strict";

const { spawn } = require("node:child_process");
const { randomBytes } = require("node:crypto");
const { accessSync, constants } = require("node:fs");
const { createServer } = require("node:net");
const { delimiter, join } = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");

const DISTRIBUTION = "bedrock-invoke-api"; // the name on PyPI
const MISTRAL_7B = "mistral.mistral-7b-instruct-v0:2";
const ENDPOINT = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME";
const SERVE = ["serve", "--engine", "scripted", "--stop-with-stdin"];
const BREAKS = ["cut", "torn_frame", "hang"];
const MAX_SHOWN_CHARACTERS = 400; // of a request or an answer in the report of a failed test
const FAULT_KEYS = ["message", "after_tokens", "retry_after"];
// Commands that have the service, in the order in which they are tried.
const COMMANDS = [
  ["invoke-api"],
  ["uvx", "--from", DISTRIBUTION, "invoke-api"],
  ["pipx", "run", "--spec", DISTRIBUTION, "invoke-api"],
];

/** The service at `url`, with the rules and calls of one access key. */
class Bedrock {
  constructor(url, options = {}) {
    this.url = url;
    this.model = options.model ?? MISTRAL_7B;
    this.accessKeyId = options.accessKeyId ?? `AKIA${randomBytes(8).toString("hex").toUpperCase()}`;
    this.secretAccessKey = options.secretAccessKey ?? "test";
    this.region = options.region ?? "us-east-1";
  }

  get clientOptions() {
    const { accessKeyId, secretAccessKey } = this;
    return { endpoint: this.url, region: this.region, credentials: { accessKeyId, secretAccessKey } };
  }

  get environment() {
    return {
      [ENDPOINT]: this.url,
      AWS_ENDPOINT_URL_BEDROCK: this.url,
      AWS_ENDPOINT_URL_SAGEMAKER: this.url,
      AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: this.url,
      AWS_REGION: this.region,
      AWS_DEFAULT_REGION: this.region,
      AWS_ACCESS_KEY_ID: this.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
    };
  }

  async reply(reply, { times, pace, ...when } = {}) {
    await this.rule({ reply, times, pace, when });
  }

  async fail(exception, { reply, times, ...more } = {}) {
    const kind = BREAKS.includes(exception) ? "break" : "exception";
    const fault = { [kind]: exception };
    const when = {};
    for (const [key, value] of Object.entries(more)) {
      (FAULT_KEYS.includes(key) ? fault : when)[key] = value;
    }
    await this.rule({ reply, fault, times, when });
  }

  async rule(document) {
    const { when, ...others } = document;
    const conditions = when && Object.keys(when).length ? { when } : {};
    await this.#ask("POST", "rules", { ...others, ...conditions, scope: this.accessKeyId });
  }

  async requests() {
    return (await this.#ask("GET", `requests?${this.#scope}`)).requests;
  }

  async requestsOfOthers() {
    const { requests } = await this.#ask("GET", "requests");
    return requests.filter((call) => call.access_key_id !== this.accessKeyId);
  }

  async explain() {
    return (await this.#ask("GET", `explain?${this.#scope}`)).report;
  }

  async reset() {
    await this.#ask("POST", `reset?${this.#scope}`);
  }

  get #scope() {
    return new URLSearchParams({ scope: this.accessKeyId });
  }

  async #ask(method, path, document) {
    const body = document && JSON.stringify(document);
    const response = await fetch(`${this.url}/_emulator/${path}`, { method, body });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }
}

/** Start the service, or use the one at `url`. Returns once it is ready. */
async function startBedrock({ url, command, image, flags = [], seconds = 120 } = {}) {
  if (url) return { url, stop: async () => {} };
  const port = image ? await findPort() : 0;
  const program = image ? inDocker(image, port) : [...(command ?? findCommand()), ...SERVE, "--port", "0"];
  const child = spawn(program[0], [...program.slice(1), ...flags], {
    stdio: ["pipe", "ignore", "pipe"],
    env: ownEnvironment(),
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log += log.length < 100_000 ? text : "";
  });
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code) => resolve(`it ended with exit status ${code}`));
  });
  child.stdin.on("error", () => {}); // the service may end first
  const stop = async () => {
    child.ref(); // Node waits for its end
    child.stdin.end();
    child.kill("SIGINT");
    await ended;
  };
  const started = readiness(() => (image ? `http://127.0.0.1:${port}` : log.match(/listens on (https?:\S+)/)?.[1]));
  const late = sleep(seconds * 1000, `it was not ready after ${seconds} s`, { ref: false });
  const found = await Promise.race([started.url, ended, late]);
  started.giveUp();
  if (!found.startsWith("http")) {
    await stop();
    throw new Error(`${program.join(" ")} did not start: ${found}\n${log}`);
  }
  // The service ends when the pipe to its standard input closes, so Node may end without a word.
  for (const each of [child, child.stdin, child.stderr]) each.unref();
  return { url: found, stop };
}

/** Return a promise of the URL of a service that is ready, and a function that ends the attempts. */
function readiness(findUrl) {
  let isOver = false;
  const attempts = async () => {
    while (!isOver) {
      const url = findUrl();
      const response = url && (await fetch(`${url}/_emulator/ready`).catch(() => null));
      if (response?.ok) return url;
      await sleep(20);
    }
    return "";
  };
  return { url: attempts(), giveUp: () => { isOver = true; } };
}

function findCommand() {
  const found = COMMANDS.find(([name]) => isProgram(name));
  if (found) return found;
  const names = COMMANDS.map(([name]) => name).join(", ");
  throw new Error(
    `none of ${names} is on the PATH: run \`pip install ${DISTRIBUTION}\`, give \`command\` or \`image\`,` +
      ` or set ${ENDPOINT} to a running service`,
  );
}

function isProgram(name) {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function inDocker(image, port) {
  const publish = `127.0.0.1:${port}:8080`;
  const serve = [...SERVE, "--host", "0.0.0.0", "--port", "8080", "--allow-anonymous"];
  return ["docker", "run", "--rm", "--interactive", "--publish", publish, image, ...serve];
}

function findPort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Return the environment without variables that would change the service or its Python. */
function ownEnvironment() {
  const kept = Object.entries(process.env).filter(
    ([name]) => name !== "PYTHONPATH" && !name.startsWith("INVOKE_API_"),
  );
  return Object.fromEntries(kept);
}

const services = new Map(); // the services of this process, by the options that started them

/** Return the service for these options. Tests that want flags get one that has them. */
async function serviceFor({ url, command, image, flags, seconds }) {
  const options = { url: url ?? (flags ? undefined : process.env[ENDPOINT]), command, image, flags, seconds };
  const key = JSON.stringify(options);
  if (!services.has(key)) services.set(key, startBedrock(options));
  try {
    return await services.get(key);
  } catch (error) {
    services.delete(key);
    throw error;
  }
}

/** Return a test function that gets a `Bedrock` of its own. A failure says what Bedrock was asked. */
function withBedrock(test, options = {}) {
  // Without declared parameters: jest would wait for a callback.
  return async (...context) => {
    const bedrock = new Bedrock((await serviceFor(options)).url, options);
    try {
      return await test(bedrock, ...context);
    } catch (error) {
      throw await withReport(error, bedrock);
    } finally {
      await bedrock.reset().catch(() => {}); // the test may have stopped the service
    }
  };
}

async function withReport(error, bedrock) {
  if (!(error instanceof Error)) return error;
  const { message, stack } = error;
  error.message = `${message}\n\n${await report(bedrock)}`;
  if (stack) error.stack = stack.replace(message, () => error.message); // some reporters show the stack only
  return error;
}

async function report(bedrock) {
  try {
    const calls = (await bedrock.requests()).map(toLine);
    const rules = await bedrock.explain();
    const parts = ["Bedrock requests:", ...(calls.length ? calls : ["none"])];
    return [...parts, ...(rules.length ? ["", "Bedrock rules:", ...rules] : [])].join("\n");
  } catch (error) {
    return `Bedrock requests: unknown: ${error.message}`;
  }
}

function toLine({ operation, model_id: model, body, error, text, ended }) {
  const came = error ? `${error.type}: ${error.message}` : shorten(text);
  return `${operation} ${model} ${shorten(body)} -> ${ended}: ${came}`;
}

function shorten(value) {
  const text = JSON.stringify(value);
  const half = MAX_SHOWN_CHARACTERS / 2;
  return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, half)}...${text.slice(-half)}` : text;
}

module.exports = { Bedrock, startBedrock, withBedrock };
