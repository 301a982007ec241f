// A call as code: boto3, AWS CLI, curl, pytest, JavaScript.

const INDENT = "    "
// The last step of a path below /model/, and what SDKs call it.
export const OPERATIONS = {
  "invoke": {method: "invoke_model", command: "InvokeModelCommand", cli: "invoke-model"},
  "invoke-with-response-stream": {method: "invoke_model_with_response_stream", command: "InvokeModelWithResponseStreamCommand", stream: true},
  "converse": {method: "converse", command: "ConverseCommand", cli: "converse"},
  "converse-stream": {method: "converse_stream", command: "ConverseStreamCommand", stream: true},
}

/** Return the operation of a call and the client's name of the model, or null for other paths. */
export function operationOf(call) {
  const found = /^\/model\/(.*)\/([a-z-]+)$/.exec(call.path)
  if (!found || !(found[2] in OPERATIONS)) return null
  return {...OPERATIONS[found[2]], model: decodeURIComponent(found[1]), isConverse: found[2].startsWith("converse")}
}

/** Return the body as text, as the client may have sent it. */
export const bodyText = call => typeof call.body === "string" ? call.body : JSON.stringify(call.body)

export function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** Return a value of JSON as a Python expression. */
export function toPython(value, indent = "") {
  if (value === null) return "None"
  if (value === true) return "True"
  if (value === false) return "False"
  if (typeof value === "string") return pythonText(value)
  if (typeof value !== "object") return String(value)
  const inner = indent + INDENT
  // Images and documents are base64 in Converse's JSON, and bytes for boto3.
  if (typeof value.bytes === "string") return `{"bytes": base64.b64decode(${pythonText(value.bytes)})}`
  const lines = Array.isArray(value)
    ? value.map(each => inner + toPython(each, inner))
    : Object.entries(value).map(([name, each]) => `${inner}${pythonText(name)}: ${toPython(each, inner)}`)
  const [open, close] = Array.isArray(value) ? "[]" : "{}"
  return lines.length ? `${open}\n${lines.join(",\n")},\n${indent}${close}` : open + close
}

/** JSON's escapes are Python's, but for characters beyond the basic plane, which stay as they are. */
function pythonText(text) {
  return JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029\ufeff]/g, each => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`)
}

function boto3Call(call, operation, indent) {
  const inner = indent + INDENT
  if (operation.isConverse && typeof call.body === "object" && call.body) {
    const more = Object.entries(call.body).filter(([name]) => name !== "modelId")
      .map(([name, value]) => `${inner}${name}=${toPython(value, inner)},\n`).join("")
    return `client.${operation.method}(\n${inner}modelId=${pythonText(operation.model)},\n${more}${indent})`
  }
  const body = typeof call.body === "string" ? pythonText(call.body) : `json.dumps(${toPython(call.body, inner)})`
  return `client.${operation.method}(\n${inner}modelId=${pythonText(operation.model)},\n${inner}body=${body},\n${indent})`
}


function readPython(operation, indent) {
  if (operation.stream) return `for event in response[${operation.isConverse ? '"stream"' : '"body"'}]:\n${indent}${INDENT}print(event)`
  return operation.isConverse ? 'print(response["output"])' : 'print(json.load(response["body"]))'
}

export function toBoto3(call, origin) {
  const operation = operationOf(call)
  if (!operation) return `# boto3 has no operation for ${call.method} ${call.path}; use curl.\n`
  return `import base64
import json

import boto3

client = boto3.client(
    "bedrock-runtime",
    endpoint_url=${pythonText(origin)},
    region_name=${pythonText(call.region || "us-east-1")},
    aws_access_key_id=${pythonText(call.access_key_id || "test")},
    aws_secret_access_key="secret",  # any secret will do, unless the service checks keys
)
response = ${boto3Call(call, operation, "")}
${readPython(operation, "")}
`
}

export function toPytest(call) {
  const operation = operationOf(call)
  if (!operation) return `# boto3 has no operation for ${call.method} ${call.path}; use curl.\n`
  const text = call.text || "An answer"
  const read = operation.stream
    ? `    events = list(response[${operation.isConverse ? '"stream"' : '"body"'}])\n\n    assert events`
    : operation.isConverse
      ? `    content = response["output"]["message"]["content"]\n\n    assert content[0]["text"].strip() == ${pythonText(text.trim())}`
      : `    answer = json.load(response["body"])\n\n    assert answer`
  return `import base64
import json


def test_call(bedrock):  # the fixture of pytest --bedrock
    bedrock.reply(${pythonText(text)})
    client = bedrock.client(region_name=${pythonText(call.region || "us-east-1")})
    response = ${boto3Call(call, operation, INDENT)}
${read}
    [call] = bedrock.requests
    assert call["operation"] == ${pythonText(call.operation)}
`
}

export function toCli(call, origin) {
  const operation = operationOf(call)
  if (!operation) return `# The AWS CLI has no command for ${call.method} ${call.path}; use curl.\n`
  const isConverse = operation.isConverse
  const note = operation.stream ? "# The AWS CLI has no command for streams; this one asks for the whole answer.\n" : ""
  const where = `--endpoint-url ${quoted(origin)} --region ${quoted(call.region || "us-east-1")} --model-id ${quoted(operation.model)}`
  if (isConverse) return `${note}aws bedrock-runtime converse ${where} \\\n  --cli-input-json ${quoted(bodyText(call))}\n`
  // Versions 1 and 2 read the body of a file in the same way, but not that of an argument.
  return `${note}printf %s ${quoted(bodyText(call))} | \\\n  aws bedrock-runtime invoke-model ${where} --body fileb:///dev/stdin /dev/stdout\n`
}

export function toCurl(call, origin) {
  const key = /^bearer/i.test(call.headers?.authorization) ? ' \\\n  --header "Authorization: Bearer $AWS_BEARER_TOKEN_BEDROCK"' : ""
  const type = call.headers?.["content-type"] || "application/json"
  return `curl --silent --request ${call.method} ${quoted(origin + call.path)} \\\n  --header ${quoted(`Content-Type: ${type}`)}${key} \\\n  --data-binary ${quoted(bodyText(call))}\n`
}

export function toJavaScript(call, origin) {
  const operation = operationOf(call)
  if (!operation) return `// The SDK has no command for ${call.method} ${call.path}.\n`
  const input = operation.isConverse && typeof call.body === "object"
    ? {modelId: operation.model, ...call.body}
    : {modelId: operation.model, contentType: "application/json", body: bodyText(call)}
  const read = operation.stream
    ? `for await (const event of response.${operation.isConverse ? "stream" : "body"}) console.log(JSON.stringify(event))`
    : operation.isConverse ? "console.log(JSON.stringify(response.output))" : "console.log(new TextDecoder().decode(response.body))"
  return `import {BedrockRuntimeClient, ${operation.command}} from "@aws-sdk/client-bedrock-runtime"

const client = new BedrockRuntimeClient({
  endpoint: ${JSON.stringify(origin)},
  region: ${JSON.stringify(call.region || "us-east-1")},
  credentials: {accessKeyId: ${JSON.stringify(call.access_key_id || "test")}, secretAccessKey: "secret"},
})
const response = await client.send(new ${operation.command}(${withBytes(JSON.stringify(input, null, 2))}))
${read}
`
}

/** Images and documents are base64 in Converse's JSON, and bytes for the SDK. */
function withBytes(text) {
  return text.replace(/^( *"bytes": )("[\w+/=]*")$/gm, '$1Buffer.from($2, "base64")')
}

/** Return a rule that gives this call's answer to the same question. */
export function toRule(call) {
  const when = {operation: call.operation, model_id: call.model_id}
  const asked = lastUserText(call.body)
  if (asked) when.last_user_message = asked
  const rule = {when}
  if (call.error) rule.fault = call.status === 200 ? {exception: call.error.type, message: call.error.message, after_tokens: 1} : {exception: call.error.type, message: call.error.message}
  else rule.reply = call.text || ""
  return rule
}

/** Return the last text of the user, or of a prompt what follows its last [INST]. */
function lastUserText(body) {
  if (!body || typeof body !== "object") return ""
  const prompt = body.prompt ?? body.inputs
  if (typeof prompt === "string") return prompt.split("[INST]").pop().replace(/\[\/INST\][^]*$/, "").trim()
  const last = Array.isArray(body.messages) ? body.messages.filter(each => each?.role === "user").pop() : null
  const content = last?.content
  if (typeof content === "string") return content
  return Array.isArray(content) ? content.map(each => each?.text).filter(each => typeof each === "string").join("\n") : ""
}
