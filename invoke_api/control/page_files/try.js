// Try: a conversation with a model, the body that is sent, the answer as it comes, and code.

import {ask, key} from "./api.js"
import {describe, parametersOf, takesPrompt, toBody, toPath, toValue} from "./bodies.js"
import {copyButton, h} from "./dom.js"
import {Exchange} from "./exchange.js"
import {Messages} from "./messages.js"
import {pass} from "./pass.js"
import {bodyText, operationOf, toBoto3, toJavaScript} from "./snippets.js"

const TOOLS = [{toolSpec: {
  name: "get_weather", description: "Return the weather of a city.",
  inputSchema: {json: {type: "object", properties: {city: {type: "string"}}, required: ["city"]}},
}}]
const PROMPT = "<s>[INST] Why is the sky blue? [/INST]"

export async function showTry({signal, place, fail}) {
  const {models, region} = await ask("/_emulator/models")
  if (signal.aborted) return
  const fields = {}
  const text = (name, label, rows, value = "") => {
    fields[name] = h("textarea", {rows, spellcheck: "false", value, oninput: build})
    return h("label", {class: "block"}, label, fields[name])
  }
  const model = h("select", {"aria-label": "Model", onchange: renew}, models.map(each => h("option", {value: each.id}, `${each.name} (${each.engine}): ${each.id}`)))
  const api = h("select", {"aria-label": "API", onchange: renew}, h("option", {value: "converse"}, "Converse"), h("option", {value: "invoke"}, "InvokeModel"))
  const stream = h("input", {type: "checkbox", checked: true, onchange: build})
  const standIn = h("p", {class: "hint"})
  const who = h("input", {value: "AKIDPAGE", maxlength: 128, spellcheck: "false", oninput: build})
  const messages = new Messages(build)
  const parameters = h("div", {class: "fields"})
  const prompt = text("prompt", "Prompt", 4, PROMPT), system = text("system", "System", 2), tools = text("tools", "Tools, as Converse's toolSpecs", 4)
  const example = h("button", {type: "button", onclick: () => { fields.tools.value = JSON.stringify(TOOLS, null, 2); build() }}, "An example of a tool")
  const problem = h("p", {class: "error", role: "alert", hidden: true})
  const body = h("textarea", {id: "body", rows: 14, spellcheck: "false", oninput: () => { isByHand = true; tell() }})
  const byHand = h("p", {class: "hint", hidden: true}, "The body was changed by hand and is sent as it is. ",
    h("button", {type: "button", onclick: () => { isByHand = false; build() }}, "Make it from the fields again"))
  const codes = [["boto3", toBoto3], ["JavaScript", toJavaScript]].map(([name, write]) => ({name, write, pre: h("pre", {tabindex: 0})}))
  const exchange = new Exchange(signal)
  let isByHand = false, path = ""

  place.append(h("h1", {}, "Try"), h("div", {class: "sides"},
    h("form", {onsubmit: event => { event.preventDefault(); submit() }},
      h("div", {class: "filters"}, h("label", {}, "Model", model), h("label", {}, "API", api),
        h("label", {class: "check"}, stream, "Stream"), h("label", {hidden: Boolean(key.get())}, "Access key id", who)),
      standIn, prompt, system, messages.place,
      h("details", {}, h("summary", {}, "Tools"), tools, example),
      h("fieldset", {}, h("legend", {}, "Parameters"), parameters), problem,
      h("p", {class: "actions"}, h("button", {type: "submit"}, "Send"), exchange.stop)),
    h("div", {}, exchange.place)),
  h("section", {"aria-labelledby": "body-title"}, h("h2", {id: "body-title"}, h("label", {for: "body"}, "Body")), byHand, body),
  h("section", {"aria-labelledby": "code"}, h("h2", {id: "code"}, "As code"), h("div", {class: "sides"},
    codes.map(({name, pre}) => h("div", {}, h("h3", {}, name), copyButton(`Copy as ${name}`, () => pre.textContent), pre)))))

  const chosen = () => models.find(each => each.id === model.value)

  /** Show the fields of the model and the API. */
  function renew() {
    const isPrompt = api.value === "invoke" && takesPrompt(chosen())
    prompt.hidden = !isPrompt
    system.hidden = messages.place.hidden = isPrompt
    fields.tools.closest("details").hidden = isPrompt
    messages.sees(chosen().sees)
    standIn.textContent = chosen().stand_in ? `A stand-in answers: ${chosen().stand_in}` : ""
    parameters.replaceChildren(...Object.entries(parametersOf(chosen(), api.value)).map(([name, each]) => {
      const id = `parameter-${name}`
      return h("div", {class: "field"}, h("label", {for: id}, name),
        h("input", {id, name, "aria-describedby": `${id}-hint`, autocomplete: "off", spellcheck: "false", oninput: build}),
        h("p", {class: "hint", id: `${id}-hint`}, describe(each)))
    }))
    build()
  }

  /** Make the body from the fields, unless it was changed by hand. */
  function build() {
    problem.hidden = true
    if (!isByHand) {
      path = toPath(chosen(), api.value, stream.checked)
      const given = [...parameters.querySelectorAll("input")].filter(each => each.value !== "")
      try {
        body.value = JSON.stringify(toBody(chosen(), api.value, {
          prompt: fields.prompt.value, system: fields.system.value, messages: messages.read(),
          tools: fields.tools.value.trim() ? JSON.parse(fields.tools.value) : [],
          parameters: Object.fromEntries(given.map(each => [each.name, toValue(each.value)])),
        }), null, 2)
      } catch (error) {
        problem.textContent = `The tools are no list of toolSpecs: ${error.message}`
        problem.hidden = false
      }
    }
    tell()
  }

  function toCall() {
    if (isByHand) path = toPath(chosen(), api.value, stream.checked)
    const where = chosen()?.region || region
    return {method: "POST", path, body: toJson(body.value), region: where, headers: {}, access_key_id: key.get() ? null : who.value}
  }

  function tell() {
    byHand.hidden = !isByHand
    const call = toCall()
    for (const {write, pre} of codes) pre.textContent = write(call, location.origin)
  }

  async function submit() {
    const call = toCall()
    try { await exchange.run(call, body.value) } catch (error) { if (!signal.aborted) fail(error) }
  }

  function askAgain(call) {
    const operation = operationOf(call)
    const known = models.find(each => each.id === call.model_id)
    if (known) model.value = known.id
    api.value = operation.isConverse ? "converse" : "invoke"
    stream.checked = Boolean(operation.stream)
    if (call.access_key_id) who.value = call.access_key_id
    renew()
    isByHand = true
    const value = toJson(bodyText(call))
    body.value = typeof value === "string" ? value : JSON.stringify(value, null, 2)
    tell()
    body.focus()
  }

  if (pass.call) askAgain(pass.call)
  else renew()
  pass.call = null
}

function toJson(text) {
  try { return JSON.parse(text) } catch { return text }
}
