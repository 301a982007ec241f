// The list of calls. It asks for new and changed calls every second.

import {note, toAddress} from "./address.js"
import {ask} from "./api.js"
import {clock, h, milliseconds, say} from "./dom.js"

const POLL_MILLISECONDS = 1000
const HEADS = ["Time", "Operation", "Model", "Key", "Status", "Ended", "Answered by", "In", "Out", "First token", "Whole"]
// Name in the address, label, and the value of a call.
const FILTERS = [
  ["operation", "Operation", call => call.operation],
  ["model", "Model", call => call.model_id],
  ["key", "Key", call => call.access_key_id],
  ["engine", "Answered by", call => call.rule_id ? `rule ${call.rule_id}` : call.engine],
  ["ended", "Ended", call => call.ended || "running"],
]

export async function showCalls({parameters, signal, place, fail}) {
  const wanted = {...parameters}
  const held = new Map() // by number: the call and its row
  const selects = new Map()
  const body = h("tbody", {})
  const count = h("p", {class: "hint", id: "count"})
  const text = h("input", {type: "search", value: wanted.text || "", "aria-label": "Search in the list", placeholder: "Search"})
  const filters = h("form", {class: "filters", "aria-label": "Filters", onsubmit: event => event.preventDefault()},
    FILTERS.map(([name, label]) => {
      const select = h("select", {onchange: () => filter(name, select.value)})
      selects.set(name, select)
      return h("label", {}, label, select)
    }),
    text,
    h("button", {type: "button", onclick: clearAll}, "Delete all calls"))
  text.addEventListener("input", () => filter("text", text.value))
  const empty = h("p", {class: "empty"}, "No calls yet. Send one to this address, or use Try.")
  place.append(h("h1", {}, "Calls"), filters, count, empty,
    h("div", {class: "wide", role: "region", "aria-label": "Calls", tabindex: 0},
      h("table", {class: "list", onkeydown: move}, h("caption", {class: "unseen"}, "Calls, the newest first"),
        h("thead", {}, h("tr", {}, HEADS.map(each => h("th", {scope: "col"}, each)))), body)))

  function filter(name, value) {
    wanted[name] = value
    note(wanted)
    for (const each of held.values()) each.row.hidden = !isWanted(each.call)
    tell()
  }

  function isWanted(call) {
    const looked = wanted.text?.toLowerCase()
    return FILTERS.every(([name, , value]) => !wanted[name] || wanted[name] === String(value(call) ?? ""))
      && (!looked || JSON.stringify(call).toLowerCase().includes(looked))
  }

  function tell() {
    const shown = [...held.values()].filter(each => !each.row.hidden).length
    count.textContent = shown === held.size ? `${held.size.toLocaleString()} calls` : `${shown.toLocaleString()} of ${held.size.toLocaleString()} calls`
    empty.hidden = held.size > 0
    for (const [name, , value] of FILTERS) fill(selects.get(name), wanted[name], [...held.values()].map(each => value(each.call)))
  }

  function take(found) {
    const rows = document.createDocumentFragment()
    for (const call of [...found.calls].reverse()) {
      const row = toRow(call)
      row.hidden = !isWanted(call)
      const before = held.get(call.number)
      if (before) {
        const had = before.row.contains(document.activeElement)
        before.row.replaceWith(row)
        if (had) row.querySelector("a").focus()
      } else rows.append(row)
      held.set(call.number, {call, row})
    }
    body.prepend(rows)
    // The journal dropped its oldest calls.
    const numbers = [...held.keys()].sort((one, other) => one - other)
    for (const each of numbers.slice(0, Math.max(0, held.size - found.count))) {
      held.get(each).row.remove()
      held.delete(each)
    }
    tell()
  }

  function forget() {
    held.clear()
    body.replaceChildren()
  }

  async function clearAll() {
    try {
      await ask("/_emulator/requests", {method: "DELETE"})
      forget()
      tell()
      say("The calls are deleted")
    } catch (error) { fail(error) }
  }

  async function poll(last, isFirst = false) {
    const open = [...held.values()].filter(each => !each.call.ended).map(each => each.call.number)
    const found = await ask(`/_emulator/calls?after=${last}&open=${open.join(",")}`)
    if (signal.aborted) return last
    // The service was started anew, or calls were deleted in another way than by age.
    const added = found.calls.filter(each => each.number > last).length
    if (last && (found.last < last || (found.count < held.size + added && found.count < found.last - lowest() + 1))) {
      forget()
      return poll(0, true)
    }
    if (found.calls.length || isFirst) take(found)
    if (!isFirst && added) say(`${added} new ${added === 1 ? "call" : "calls"}`)
    return found.last
  }

  const lowest = () => Math.min(...held.keys(), Infinity)

  let last = await poll(0, true)
  while (!signal.aborted) {
    await new Promise(done => setTimeout(done, POLL_MILLISECONDS))
    if (signal.aborted || document.hidden) continue
    try { last = await poll(last) } catch (error) { if (!signal.aborted) fail(error) }
  }
}

function toRow(call) {
  const by = call.rule_id ? `rule ${call.rule_id}` : call.engine || ""
  const status = call.status ?? ""
  const isBad = call.ended === "error" || call.ended === "cut"
  const cells = [call.operation, call.model_id, call.access_key_id || "", status, call.error || call.ended || "running",
    by, call.input_tokens ?? "", call.output_tokens ?? "", milliseconds(call.first_byte_latency_ms), milliseconds(call.latency_ms)]
  return h("tr", {class: isBad ? "bad" : call.ended ? "" : "running"},
    h("td", {}, h("a", {href: toAddress({view: "calls", call: call.request_id})}, clock(call.time))),
    cells.map((each, at) => h("td", at > 5 ? {class: "number"} : {}, each)))
}

/** Have a select offer these values. The wanted one is there in any case. */
function fill(select, wanted, values) {
  const names = [...new Set([...values, wanted].filter(Boolean).map(String))].sort()
  if (select.dataset.names === JSON.stringify(names)) return
  select.dataset.names = JSON.stringify(names)
  select.replaceChildren(h("option", {value: ""}, "all"), ...names.map(each => h("option", {value: each}, each)))
  select.value = wanted || ""
}

/** Move between the calls with the arrow keys. */
function move(event) {
  const step = {ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling"}[event.key]
  let row = step && event.target.closest("tr")?.[step]
  while (row?.hidden) row = row[step]
  if (!row?.querySelector("a")) return
  event.preventDefault()
  row.querySelector("a").focus()
}
