// Bodies for Try: a conversation and parameters as InvokeModel's or Converse's JSON. Pure.

// Keys of a body that the conversation gives, and no field of its own.
const OF_CONVERSATION = new Set(["prompt", "messages", "tools", "images", "image_url"])

/** Return the form of body that a model takes: the first one whose schema is told. */
export const formOf = model => Object.values(model.forms)[0]

/** Return whether a model takes a prompt, not messages. */
export const takesPrompt = model => !("messages" in formOf(model))

/** Return the parameters that an API has for a model, by name. */
export function parametersOf(model, api) {
  if (api === "converse") return model.converse
  return Object.fromEntries(Object.entries(formOf(model)).filter(([name]) => !OF_CONVERSATION.has(name)))
}

/** Return the path of a call. */
export function toPath(model, api, stream) {
  const step = api === "converse" ? (stream ? "converse-stream" : "converse") : stream ? "invoke-with-response-stream" : "invoke"
  return `/model/${encodeURIComponent(model.call_as)}/${step}`
}

/**
 * Return the body. `asked` has the texts `prompt` and `system`, `messages` with `role`, `text` and
 * `images`, `tools` as toolSpecs, and `parameters`.
 */
export function toBody(model, api, asked) {
  if (api === "converse") return toConverse(asked)
  if (takesPrompt(model)) return {prompt: asked.prompt, ...asked.parameters}
  const system = asked.system ? [{role: "system", content: asked.system}] : []
  const tools = asked.tools.map(({toolSpec: {name, description, inputSchema}}) => ({
    type: "function", function: {name, ...(description && {description}), parameters: inputSchema.json},
  }))
  return {messages: [...system, ...asked.messages.map(toChatMessage)], ...(tools.length && {tools}), ...asked.parameters}
}

function toChatMessage({role, text, images}) {
  if (!images.length) return {role, content: text}
  const pictures = images.map(({format, base64}) => ({type: "image_url", image_url: {url: `data:image/${format};base64,${base64}`}}))
  return {role, content: [...(text ? [{type: "text", text}] : []), ...pictures]}
}

function toConverse({system, messages, tools, parameters}) {
  return {
    messages: messages.map(({role, text, images}) => ({role, content: [
      ...(text ? [{text}] : []),
      ...images.map(({format, base64}) => ({image: {format, source: {bytes: base64}}})),
    ]})),
    ...(system && {system: [{text: system}]}),
    ...(Object.keys(parameters).length && {inferenceConfig: parameters}),
    ...(tools.length && {toolConfig: {tools}}),
  }
}

/** Return a parameter's kind, bounds and default in words. */
export function describe(parameter) {
  const types = [parameter.type].flat().filter(each => each && each !== "null")
  const {minimum, maximum, maxItems, default: given} = parameter
  const bounds = minimum !== undefined && maximum !== undefined ? `${minimum} to ${maximum}`
    : minimum !== undefined ? `at least ${minimum}` : maximum !== undefined ? `at most ${maximum}` : null
  return [
    types.join(" or "), parameter.enum && `one of ${parameter.enum.join(", ")}`, bounds, maxItems && `at most ${maxItems} items`,
    given === undefined ? "no default" : `default ${JSON.stringify(given)}`,
  ].filter(Boolean).join(", ")
}

/** Return what somebody typed as a value: JSON, and else the text itself. */
export function toValue(text) {
  try { return JSON.parse(text) } catch { return text }
}
