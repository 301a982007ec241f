// The switchboard: which rules are active, how often each applied, how often it is left.

import {ask} from "./api.js"
import {h, notice, say} from "./dom.js"
import {pass} from "./pass.js"

const POLL_MILLISECONDS = 2000
// What a newcomer wants to see an application survive.
const PRESETS = [
  ["Throttle the next call", {fault: "ThrottlingException", times: 1}],
  ["Throttle for 30 seconds", {fault: "ThrottlingException", seconds: 30}],
  ["Model is not ready, once", {state: "not-ready", times: 1}],
  ["Unavailable, every second call", {fault: "ServiceUnavailableException", probability: 0.5}],
  ["Error after 3 tokens", {fault: {exception: "ModelStreamErrorException", after_tokens: 3}, times: 1}],
  ["Cut the connection after 3 tokens", {fault: {break: "cut", after_tokens: 3}, times: 1}],
  ["Hang, once", {fault: {break: "hang"}, times: 1}],
  ["Slow: 5 tokens a second", {pace: {first_token: 2, tokens_per_second: 5}}],
]
const EXAMPLE = {when: {prompt: "weather"}, reply: "It is sunny."}

export async function showRules({signal, place, fail}) {
  const rows = h("tbody", {})
  const empty = h("p", {class: "empty"}, "No rules: the engines answer every call.")
  const text = h("textarea", {id: "rule", rows: 12, spellcheck: "false", "aria-describedby": "rule-hint"})
  const problem = h("p", {class: "error", role: "alert", hidden: true})
  text.value = JSON.stringify(pass.rule || EXAMPLE, null, 2)
  const held = new Map() // what the table shows, by id
  place.append(h("h1", {}, "Rules and faults"),
    h("section", {"aria-labelledby": "active"}, h("h2", {id: "active"}, "Rules"), empty,
      h("div", {class: "wide", role: "region", "aria-label": "Rules", tabindex: 0},
        h("table", {}, h("caption", {class: "unseen"}, "Rules, the newest first"),
          h("thead", {}, h("tr", {}, ["Rule", "When", "Does", "For", "State", "Applied", "Left", ""].map(each => h("th", {scope: "col"}, each)))), rows)),
      h("button", {type: "button", onclick: () => remove("", "All rules are removed")}, "Remove all rules")),
    h("section", {"aria-labelledby": "faults"}, h("h2", {id: "faults"}, "Faults"),
      h("p", {class: "actions"}, PRESETS.map(([label, rule]) => h("button", {type: "button", onclick: () => add(rule)}, label)))),
    h("form", {onsubmit: event => { event.preventDefault(); addText() }}, h("h2", {}, h("label", {for: "rule"}, "New rule")),
      h("p", {class: "hint", id: "rule-hint"}, "A rule, or a list of rules, as JSON."), text, problem, h("button", {type: "submit"}, "Add")))
  if (pass.rule) text.focus()
  pass.rule = null

  async function addText() {
    problem.hidden = true
    let rule
    try { rule = JSON.parse(text.value) } catch (error) { return refuse(error) }
    await add(rule, refuse)
  }

  function refuse(error) {
    problem.textContent = error.message
    problem.hidden = false
    text.focus()
  }

  async function add(rule, refused = fail) {
    try {
      const {rules} = await ask("/_emulator/rules", {method: "POST", document: rule})
      say(`Added rule ${rules.map(each => each.id).join(", ")}`)
      notice("")
      await refresh()
    } catch (error) { refused(error) }
  }

  async function remove(query, said) {
    try {
      await ask(`/_emulator/rules${query}`, {method: "DELETE"})
      say(said)
      await refresh()
    } catch (error) { fail(error) }
  }

  async function refresh() {
    const {rules} = await ask("/_emulator/rules")
    if (signal.aborted) return
    const ids = new Set(rules.map(each => each.id))
    for (const [id, {row}] of held) {
      if (ids.has(id)) continue
      row.remove()
      held.delete(id)
    }
    for (const rule of rules) {
      const before = held.get(rule.id), now = JSON.stringify(rule)
      if (before?.now === now) continue
      const row = toRow(rule, () => remove(`?id=${encodeURIComponent(rule.id)}`, `Rule ${rule.id} is removed`))
      if (before) {
        const had = before.row.contains(document.activeElement)
        before.row.replaceWith(row)
        if (had) row.querySelector("button").focus()
      } else rows.prepend(row)
      held.set(rule.id, {row, now})
    }
    empty.hidden = rules.length > 0
  }

  await refresh()
  while (!signal.aborted) {
    await new Promise(done => setTimeout(done, POLL_MILLISECONDS))
    if (signal.aborted || document.hidden) continue
    try { await refresh() } catch (error) { if (!signal.aborted) fail(error) }
  }
}

function toRow(rule, remove) {
  const {id, when, reply, fault, pace, state, scope, spoken, left, seconds_left: seconds, over} = rule
  const does = Object.fromEntries(Object.entries({reply, fault, state, pace, probability: rule.probability}).filter(([, value]) => value !== undefined))
  const rest = [left === undefined ? null : `${left} times`, seconds === undefined ? null : `${Math.ceil(seconds)} s`].filter(Boolean)
  return h("tr", {class: over ? "over" : ""}, h("th", {scope: "row"}, id),
    h("td", {}, when ? h("code", {}, JSON.stringify(when)) : "always"), h("td", {}, h("code", {}, JSON.stringify(does))),
    h("td", {}, scope || "everybody"), h("td", {}, over ? `over: ${over}` : "active"),
    h("td", {class: "number"}, spoken), h("td", {class: "number"}, rest.join(", ") || "no limit"),
    h("td", {}, h("button", {type: "button", "aria-label": `Remove rule ${id}`, onclick: remove}, "Remove")))
}
