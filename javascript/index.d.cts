/** A text of which a part is searched, or a regular expression of RE2's, or several that must all be there. */
export type Texts = string | { regex: string } | ReadonlyArray<string | { regex: string }>;

export type Operation =
  | "InvokeModel"
  | "InvokeModelWithResponseStream"
  | "Converse"
  | "ConverseStream"
  | "ChatCompletions"
  | "Completions"
  | "InvokeEndpoint"
  | "InvokeEndpointWithResponseStream"
  | "EndpointChatCompletions";

export type ExceptionName =
  | "AccessDeniedException"
  | "ResourceNotFoundException"
  | "ValidationException"
  | "ServiceQuotaExceededException"
  | "ConflictException"
  | "ThrottlingException"
  | "ModelNotReadyException"
  | "ModelTimeoutException"
  | "ModelErrorException"
  | "ModelStreamErrorException"
  | "ModelError"
  | "InternalServerException"
  | "ServiceUnavailableException"
  | "ModelStreamError"
  | "InternalFailure"
  | "InternalStreamFailure"
  | "ServiceUnavailable"
  | "ValidationError";

export type Break = "cut" | "torn_frame" | "hang";

export type State = "not-ready" | "access-denied" | "end-of-life" | "on-demand-not-supported" | "unavailable";

/** Conditions of a rule. All must hold. */
export interface When {
  operation?: Operation;
  /** A glob of a model's id, name or ARN. */
  model_id?: string;
  prompt?: Texts;
  last_user_message?: Texts;
  system?: Texts;
  tool_result?: Texts;
  has_tool_result?: boolean;
  /** A glob of the name of a tool that is offered. */
  tool?: string;
  /** The number of the last user message, from 1. */
  turn?: number;
  /** The number of the call in the conversation, from 1. */
  step?: number;
  metadata?: Record<string, string>;
}

export interface ToolCall {
  name: string;
  arguments?: Record<string, unknown>;
}

export interface Turn {
  text?: string;
  echo?: true;
  tool_calls?: readonly ToolCall[];
}

export type Reply = string | (Turn & { texts?: readonly string[] }) | ReadonlyArray<string | Turn>;

/** The speed of an answer. `first_token` is in seconds. */
export interface Pace {
  first_token?: number;
  tokens_per_second?: number;
  jitter?: number;
  seed?: number;
  recording?: string;
}

export interface Fault {
  exception?: ExceptionName;
  break?: Break;
  message?: string;
  members?: Record<string, string | number>;
  /** In milliseconds. */
  retry_after?: number;
  /** The number of tokens that a stream sends before the fault. */
  after_tokens?: number;
}

export interface Rule {
  when?: When;
  reply?: Reply;
  fault?: ExceptionName | Break | Fault;
  state?: State;
  pace?: Pace;
  times?: number;
  seconds?: number;
  probability?: number;
  seed?: number;
}

export interface ReplyOptions extends When {
  times?: number;
  pace?: Pace;
}

export interface FailOptions extends When, Pick<Fault, "message" | "after_tokens" | "retry_after"> {
  /** The text of which a stream sends the first tokens. */
  reply?: string;
  times?: number;
}

/** A call in the journal. Latencies are in milliseconds. */
export interface JournalEntry {
  request_id: string;
  time: string;
  access_key_id: string | null;
  region: string | null;
  operation: string;
  model_id: string;
  /** The client's name of the model. */
  identifier: string;
  headers: Record<string, string>;
  /** The request's body, as JSON or text. */
  body: any;
  engine: string | null;
  rule_id: string | null;
  status: number | null;
  error: { type: string; message: string } | null;
  text: string;
  input_tokens: number | null;
  output_tokens: number | null;
  latency_ms: number | null;
  first_byte_latency_ms: number | null;
  /** null while the call runs. */
  ended: "stop" | "length" | "repetition" | "error" | "cancelled" | "cut" | null;
  cassette?: string;
  differs?: string[];
}

export interface BedrockOptions {
  /** The model that a test calls, for its own use. Mistral 7B unless given. */
  model?: string;
  accessKeyId?: string;
  secretAccessKey?: string;
  region?: string;
}

/** The service at `url`, with the rules and calls of one access key. The rules that were set last are tried first. */
export class Bedrock {
  constructor(url: string, options?: BedrockOptions);
  readonly url: string;
  readonly model: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  /** Options for the clients of AWS's SDK: `new BedrockRuntimeClient(bedrock.clientOptions)`. */
  get clientOptions(): {
    endpoint: string;
    region: string;
    credentials: { accessKeyId: string; secretAccessKey: string };
  };
  /** Variables that make every AWS SDK call this service with this key. */
  get environment(): Record<string, string>;
  /** Answer with this reply, or with a list of them in turn; the last one repeats. */
  reply(reply: Reply, options?: ReplyOptions): Promise<void>;
  /** Fail with an exception, or break the connection; in a stream after `after_tokens` tokens of `reply`. */
  fail(exception: ExceptionName | Break, options?: FailOptions): Promise<void>;
  /** Add a rule: https://github.com/invoke-api/invoke-api/blob/main/docs/test/rules.md */
  rule(document: Rule): Promise<void>;
  /** Return the calls so far, oldest first. */
  requests(): Promise<JournalEntry[]>;
  /** Return the calls that other access keys made, oldest first. */
  requestsOfOthers(): Promise<JournalEntry[]>;
  /** Return in lines why rules applied to the calls, or did not. */
  explain(): Promise<string[]>;
  /** Delete the rules and calls of this key. */
  reset(): Promise<void>;
}

export interface StartOptions {
  /** A running service. Nothing is started then. */
  url?: string;
  /** The command `invoke-api`. Unless given: invoke-api, else uvx, else pipx, whichever is on the PATH. */
  command?: readonly string[];
  /** A container image of the service, which Docker runs. */
  image?: string;
  /** More flags for `invoke-api serve`. */
  flags?: readonly string[];
  /** How long to wait until it is ready. 120 unless given. */
  seconds?: number;
}

export interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

/** Start the service. It ends with this process, even if that is killed. Rejects with its log if it does not start. */
export function startBedrock(options?: StartOptions): Promise<Service>;

/**
 * Return a function for vitest's, jest's and node:test's `test` that gets a `Bedrock` of its own.
 *
 * The service is the one at AWS_ENDPOINT_URL_BEDROCK_RUNTIME, or one that is started once in this process. Tests with
 * `flags` share one that is started with them. The error of a failed test says what Bedrock was asked, and why rules
 * applied or did not.
 */
export function withBedrock<Context extends unknown[], Result>(
  test: (bedrock: Bedrock, ...context: Context) => Result | Promise<Result>,
  options?: StartOptions & BedrockOptions,
): (...context: Context) => Promise<Result>;
