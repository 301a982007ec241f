// The page: it shows the view that the address names.

import {go, read, toAddress} from "./address.js"
import {key} from "./api.js"
import {showCall} from "./call.js"
import {showCalls} from "./calls.js"
import {h, notice} from "./dom.js"
import {showEngines} from "./engines.js"
import {showRules} from "./rules.js"
import {showTry} from "./try.js"

const VIEWS = {
  calls: ["Calls", parameters => parameters.call ? showCall : showCalls],
  try: ["Try", () => showTry],
  rules: ["Rules and faults", () => showRules],
  engines: ["Engines", () => showEngines],
}

let leave = null

/** Show an error. One that a key would solve opens the form for it. */
function fail(error) {
  if (error.name === "AbortError") return
  notice(error.message)
  if (error.needsKey) document.getElementById("key-form").hidden = false
}

function show() {
  leave?.abort()
  leave = new AbortController()
  notice("")
  const parameters = read()
  const name = parameters.view in VIEWS ? parameters.view : "calls"
  const [title, choose] = VIEWS[name]
  document.title = `${title} · Invoke API`
  document.getElementById("nav").replaceChildren(...Object.entries(VIEWS).map(([each, [label]]) =>
    h("a", {href: toAddress({view: each}), "aria-current": each === name ? "page" : undefined}, label)))
  const place = document.getElementById("main")
  place.replaceChildren()
  place.className = `view-${name}`
  const context = {parameters: {...parameters, view: name}, signal: leave.signal, fail, place}
  Promise.resolve(choose(parameters)(context)).catch(error => {
    if (!context.signal.aborted) fail(error)
  })
}

/** Follow links of the page itself without loading it again. */
function follow(event) {
  const link = event.target instanceof Element && event.target.closest("a[href^='?']")
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  event.preventDefault()
  go(Object.fromEntries(new URLSearchParams(link.getAttribute("href"))))
  document.getElementById("main").focus()
}

function prepareKey() {
  const form = document.getElementById("key-form"), field = document.getElementById("key")
  document.getElementById("key-button").addEventListener("click", () => {
    form.hidden = !form.hidden
    if (!form.hidden) field.focus()
  })
  form.addEventListener("submit", event => {
    event.preventDefault()
    key.set(field.value.trim())
    field.value = ""
    form.hidden = true
    show()
  })
  document.getElementById("key-forget").addEventListener("click", () => {
    key.set("")
    form.hidden = true
    show()
  })
}

prepareKey()
document.addEventListener("click", follow)
window.addEventListener("popstate", show)
window.addEventListener("address", show)
show()
