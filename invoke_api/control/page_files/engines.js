// A card for each engine, renewed every two seconds.

import {toAddress} from "./address.js"
import {ask} from "./api.js"
import {clock, h, milliseconds, say} from "./dom.js"

const POLL_MILLISECONDS = 2000

export async function showEngines({signal, place, fail}) {
  const cards = h("ul", {class: "cards"})
  place.append(h("h1", {}, "Engines"), cards)
  let before = ""
  while (!signal.aborted) {
    if (!document.hidden) {
      try {
        const {engines} = await ask("/_emulator/engines")
        if (signal.aborted) return
        const open = [...cards.querySelectorAll("details")].map(each => each.open)
        const focused = [...cards.querySelectorAll("a, summary")].indexOf(document.activeElement)
        cards.replaceChildren(...engines.map(toCard))
        cards.querySelectorAll("details").forEach((each, at) => { each.open = open[at] ?? false })
        cards.querySelectorAll("a, summary")[focused]?.focus()
        const states = engines.map(each => `${each.engine}: ${each.status}`).join(", ")
        if (before && states !== before) say(states)
        before = states
      } catch (error) { if (!signal.aborted) fail(error) }
    }
    await new Promise(done => setTimeout(done, POLL_MILLISECONDS))
  }
}

function toCard(engine) {
  const share = engine.kv_cache_use
  const facts = [
    ["Running", engine.running], ["Waiting", engine.waiting],
    ["KV cache", share === null ? "not measured" : `${(100 * share).toFixed(1)} %`],
    ["Tokens a second", engine.tokens_per_second ?? "no calls"],
    ["First token, p50", milliseconds(engine.first_token_ms.p50) || "no calls"],
    ["First token, p99", milliseconds(engine.first_token_ms.p99) || "no calls"],
    ["Calls", engine.calls],
  ]
  const retry = engine.retry_in_seconds === null ? null : `starts again in ${engine.retry_in_seconds.toFixed(0)} s`
  return h("li", {class: `card ${engine.status}`},
    h("h2", {}, `${engine.engine}: ${engine.models[0]}`, engine.models.length > 1 ? ` and ${engine.models.length - 1} more ` : " ", h("span", {class: `state ${engine.status}`}, engine.status)),
    engine.stand_in ? h("p", {class: "hint"}, `${engine.stand_in} stands in for ${engine.models.length === 1 ? "this model" : "these models"}`) : null,
    engine.reason || retry ? h("p", {class: "error"}, [engine.reason, retry].filter(Boolean).join("; ")) : null,
    h("dl", {class: "facts"}, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    h("details", {}, h("summary", {}, engine.models.length === 1 ? "1 model" : `${engine.models.length} models`),
      h("ul", {}, engine.models.map(each => h("li", {}, h("a", {href: toAddress({view: "calls", model: each})}, each))))),
    h("h3", {}, "Last errors"),
    engine.errors.length
      ? h("ul", {}, engine.errors.map(each => h("li", {}, h("a", {href: toAddress({view: "calls", call: each.request_id})}, clock(each.time)),
        ` ${each.error.type}: ${each.error.message}`, each.rule_id ? ` (rule ${each.rule_id})` : "")))
      : h("p", {class: "hint"}, "None among the last calls"))
}
