// One call: request and answer, frames, rules, code, the difference to another call.

import {go, toAddress} from "./address.js"
import {ask, send} from "./api.js"
import {copyButton, h, milliseconds, notice, say} from "./dom.js"
import {read, textOf, toHex, fromBase64} from "./frames.js"
import {compare, linesOf, marks, violationsIn} from "./json_text.js"
import {pass} from "./pass.js"
import {operationOf, toBoto3, toCli, toCurl, toPytest, toRule} from "./snippets.js"

const MOST_FRAMES = 500 // shown at first
const POLL_MILLISECONDS = 1000

export async function showCall({parameters, signal, place}) {
  const id = encodeURIComponent(parameters.call)
  for (;;) {
    const [call, explained] = await Promise.all([ask(`/_emulator/calls/${id}`), ask(`/_emulator/explain/${id}`)])
    if (signal.aborted) return
    place.replaceChildren(...toParts(call, explained, parameters))
    if (call.ended) return
    await new Promise(done => setTimeout(done, POLL_MILLISECONDS))
    if (signal.aborted) return
  }
}

function toParts(call, explained, parameters) {
  const {call: _, ...rest} = parameters
  return [
    h("p", {}, h("a", {href: toAddress(rest)}, "← All calls")),
    h("h1", {}, `${call.operation} of ${call.model_id}`),
    summary(call),
    actions(call),
    call.error ? h("p", {class: "error", id: "error"}, h("strong", {}, `${call.error.type} (${call.status})`), ` ${call.error.message}`) : null,
    h("div", {class: "sides"}, request(call), answer(call)),
    call.answer.writes ? timeline(call) : null,
    rules(explained),
    code(call),
    difference(call, parameters),
  ].filter(Boolean)
}

function summary(call) {
  const facts = [
    ["Time", call.time], ["Request id", call.request_id], ["Key", call.access_key_id], ["Region", call.region],
    ["Called as", call.identifier], ["Status", call.status], ["Ended", call.ended || "running"],
    ["Answered by", call.rule_id ? `rule ${call.rule_id}` : call.engine],
    ["Tokens in", call.input_tokens], ["Tokens out", call.output_tokens],
    ["First token", milliseconds(call.first_byte_latency_ms)], ["Whole", milliseconds(call.latency_ms)],
    ["Recording", call.cassette],
  ]
  return h("dl", {class: "facts"}, facts.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))))
}

function actions(call) {
  const save = async () => {
    const response = await send(`/_emulator/recordings/${encodeURIComponent(call.request_id)}`)
    const text = await response.text()
    if (!response.ok) return notice(JSON.parse(text).error)
    const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition"))?.[1] || "call.json"
    const address = URL.createObjectURL(new Blob([text], {type: "application/json"}))
    h("a", {href: address, download: name}).click()
    setTimeout(() => URL.revokeObjectURL(address), 1000)
    say(`Saved ${name}`)
  }
  return h("p", {class: "actions"},
    h("button", {type: "button", onclick: () => { pass.rule = toRule(call); go({view: "rules"}) }}, "Make a rule of it"),
    h("button", {type: "button", onclick: save}, "Save as a recording"),
    operationOf(call) && h("button", {type: "button", onclick: () => { pass.call = call; go({view: "try"}) }}, "Ask again with changes"))
}

/** Return lines of JSON, with each violation below the line of its place, for eyes and ears. */
function listing(lines, violations = []) {
  const marked = marks(lines, violations)
  return h("pre", {tabindex: 0}, lines.map((line, at) => marked.has(at)
    ? h("mark", {}, `${line.text}\n`, marked.get(at).map(words => h("span", {class: "violation"}, `${words}\n`)))
    : `${line.text}\n`))
}

function headersOf(headers) {
  return h("details", {}, h("summary", {}, "Headers"),
    h("pre", {tabindex: 0}, Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`).join("")))
}

function request(call) {
  return h("section", {"aria-labelledby": "request"}, h("h2", {id: "request"}, "Request"),
    h("p", {class: "path"}, `${call.method} ${call.path}`), headersOf(call.headers),
    listing(linesOf(call.body), violationsIn(call.error?.message || "")))
}

function answer(call) {
  const {answer} = call
  const body = answer.is_stream ? null : answer.body
  const value = body && (body.json !== undefined ? body.json : body.text ?? body.base64)
  return h("section", {"aria-labelledby": "answer"}, h("h2", {id: "answer"}, "Answer"),
    h("p", {class: "path"}, answer.status === null ? "No answer yet" : `Status ${answer.status}`), headersOf(answer.headers),
    body ? listing(linesOf(value)) : h("pre", {tabindex: 0, id: "text"}, call.text),
    answer.left_out ? h("p", {class: "hint"}, "The answer is longer than the journal keeps; this is its beginning.") : null)
}

function timeline(call) {
  const writes = call.answer.writes
  const end = Math.max(1, ...writes.map(each => each.at_ms))
  const count = writes.reduce((sum, each) => sum + each.frames.length, 0)
  const gaps = writes.slice(1).map((each, at) => each.at_ms - writes[at].at_ms)
  const longest = gaps.length ? Math.max(...gaps) : 0
  const list = h("ol", {class: "timeline"})
  const add = from => writes.slice(from, from + MOST_FRAMES).forEach((each, at) => list.append(toItem(each, writes[from + at - 1], end)))
  add(0)
  let shown = MOST_FRAMES
  const more = h("button", {type: "button", hidden: writes.length <= shown, onclick: () => {
    add(shown)
    shown += MOST_FRAMES
    more.hidden = shown >= writes.length
  }}, "Show more frames")
  return h("section", {"aria-labelledby": "frames"}, h("h2", {id: "frames"}, "Frames"),
    h("p", {class: "hint"}, `${count} frames in ${writes.length} writes, the first after ${milliseconds(writes[0]?.at_ms)}, the longest gap ${milliseconds(longest)}`),
    list, more)
}

function toItem(write, before, end) {
  const bar = h("progress", {max: end, value: write.at_ms, "aria-hidden": "true"})
  const gap = before ? `+${milliseconds(write.at_ms - before.at_ms)}` : ""
  const bytes = h("pre", {tabindex: 0})
  const raw = h("details", {ontoggle: () => { bytes.textContent ||= toHex(fromBase64(write.base64)) }}, h("summary", {}, "Bytes"), bytes)
  const events = write.frames.map(read)
  return h("li", {}, bar, h("span", {class: "at"}, milliseconds(write.at_ms)), h("span", {class: "gap"}, gap),
    h("div", {}, events.map(({name, value}) => {
      const text = textOf(value)
      return h("p", {}, h("b", {}, name), " ", text ? h("q", {}, text) : h("code", {}, typeof value === "string" ? value : JSON.stringify(value)))
    }), write.frames.length ? null : h("p", {}, "part of a frame"), raw))
}

const SIGNS = {applied: "✓", skipped: "–", "not tried": "·", "did not match": "✗"}

function rules(explained) {
  const {rules, nearest, rules_of_other_scopes: others} = explained
  return h("section", {"aria-labelledby": "rules"}, h("h2", {id: "rules"}, "Rules"),
    rules.length ? h("ul", {class: "rules"}, rules.map(each => h("li", {class: each.outcome === "applied" ? "good" : ""},
      h("span", {"aria-hidden": "true", class: "sign"}, SIGNS[each.outcome]),
      h("b", {}, `Rule ${each.id}`), ` ${each.outcome}${each.because.length ? ": " : ""}${each.because.join("; ")}`)))
      : h("p", {class: "hint"}, "No rule was tried for this call."),
    others ? h("p", {class: "hint"}, `${others} rules are for other access keys.`) : null,
    nearest ? h("div", {}, h("p", {}, `The nearest is rule ${nearest.id}:`), diffView(nearest.diff.map(each => ({sign: each[0], text: each.slice(2)})))) : null)
}

function code(call) {
  const origin = location.origin
  const kinds = [["boto3", toBoto3(call, origin)], ["AWS CLI", toCli(call, origin)], ["curl", toCurl(call, origin)], ["pytest", toPytest(call)]]
  return h("section", {"aria-labelledby": "code"}, h("h2", {id: "code"}, "As code"),
    kinds.map(([name, text]) => h("details", {class: "code"}, h("summary", {}, name), copyButton(`Copy as ${name}`, () => text), h("pre", {tabindex: 0}, text))))
}

function diffView(lines) {
  return h("pre", {tabindex: 0, class: "diff"}, lines.map(({sign, text}) => sign === "-" ? h("del", {}, `- ${text}\n`)
    : sign === "+" ? h("ins", {}, `+ ${text}\n`) : `  ${text}\n`))
}

function difference(call, parameters) {
  const place = h("div", {})
  const select = h("select", {id: "other", onchange: () => show(select.value)}, h("option", {value: ""}, "choose a call"))
  const box = h("details", {class: "difference", ontoggle: async () => {
    if (!box.open || select.length > 1) return
    const {calls} = await ask("/_emulator/calls")
    select.append(...calls.reverse().filter(each => each.request_id !== call.request_id)
      .map(each => h("option", {value: each.request_id}, `${each.time.slice(11, 23)} ${each.operation} ${each.model_id} ${each.error || each.ended || "running"}`)))
    if (parameters.with) show(select.value = parameters.with)
  }}, h("summary", {}, "Difference to another call"), h("label", {for: "other"}, "Other call "), select, place)

  async function show(id) {
    place.replaceChildren()
    if (!id) return
    const other = await ask(`/_emulator/calls/${encodeURIComponent(id)}`)
    const texts = each => linesOf(each).map(line => line.text)
    place.append(h("h3", {}, "Request"), diffView(compare(texts(other.body), texts(call.body))),
      h("h3", {}, "Answer"), diffView(compare(answerLines(other), answerLines(call))))
  }
  return box
}

function answerLines(call) {
  const error = call.error ? [`${call.error.type}: ${call.error.message}`] : []
  return [`${call.status} ${call.ended}`, ...error, ...call.text.split("\n")]
}
