// One call of Try: it is sent, and the answer is shown as it comes.

import {toAddress} from "./address.js"
import {key, send} from "./api.js"
import {h, milliseconds, say} from "./dom.js"
import {FrameReader, read, textOf, toHex} from "./frames.js"
import {linesOf} from "./json_text.js"

export class Exchange {
  #leave
  #abort = null
  #text = h("pre", {class: "said", tabindex: 0, "aria-label": "Answer"})
  #facts = h("p", {class: "hint"})
  #error = h("p", {class: "error", role: "alert", hidden: true})
  #frames = h("ol", {class: "timeline"})
  #raw = h("details", {}, h("summary", {}, "Raw frames"), this.#frames)

  constructor(leave) {
    this.#leave = leave
    this.stop = h("button", {type: "button", disabled: true, onclick: () => this.#abort?.abort()}, "Stop")
    this.place = h("section", {"aria-labelledby": "answer"}, h("h2", {id: "answer"}, "Answer"), this.#error, this.#text, this.#facts, this.#raw)
    leave.addEventListener("abort", () => this.#abort?.abort())
  }

  /** Send a call with this body. Throws an `ApiError` if the service does not answer. */
  async run(call, body) {
    this.#abort?.abort()
    const abort = this.#abort = new AbortController()
    this.#text.replaceChildren()
    this.#frames.replaceChildren()
    this.#facts.textContent = "The call is running."
    this.#error.hidden = true
    this.stop.disabled = false
    const began = performance.now()
    try {
      const response = await send(call.path, {method: "POST", body, type: "application/json", signal: abort.signal, claim: claim(call)})
      const isStream = (response.headers.get("content-type") || "").includes("eventstream")
      const first = isStream && response.ok ? await this.#stream(response, began) : await this.#whole(response)
      this.#end(response, began, first)
    } catch (error) {
      if (abort !== this.#abort) return
      this.#facts.textContent = error.name === "AbortError" ? "The call was stopped." : "The answer broke off."
      if (this.#leave.aborted || error.name === "AbortError") return
      if (error.status === 0 || error instanceof TypeError) this.#refuse("The connection broke off", error.message)
      else throw error
    } finally {
      if (abort === this.#abort) this.stop.disabled = true
    }
  }

  #end(response, began, first) {
    const id = response.headers.get("x-amzn-requestid")
    const whole = performance.now() - began
    this.#facts.replaceChildren(`Status ${response.status}. ${first === null ? "" : `First token after ${milliseconds(first)}, `}whole answer after ${milliseconds(whole)}. `,
      id ? h("a", {href: toAddress({view: "calls", call: id})}, "See the call") : "")
    say("The answer is complete")
  }

  #refuse(type, message) {
    this.#error.replaceChildren(h("strong", {}, type), ` ${message}`)
    this.#error.hidden = false
  }

  async #whole(response) {
    const text = await response.text()
    let value = text
    try { value = JSON.parse(text) } catch { /* shown as it is */ }
    if (!response.ok) {
      const type = (response.headers.get("x-amzn-errortype") || "Error").split(":")[0]
      this.#refuse(`${type} (${response.status})`, value.message || value.Message || text)
    }
    this.#text.textContent = linesOf(value).map(line => line.text).join("\n")
    return null
  }

  /** Show the text of a stream's events as they come. Return when the first one came. */
  async #stream(response, began) {
    const frames = new FrameReader()
    const reader = response.body.getReader()
    let first = null, before = 0
    for (;;) {
      const {done, value} = await reader.read()
      if (done) return first
      for (const frame of frames.feed(value)) {
        const now = performance.now() - began
        const event = read(frame), text = textOf(event.value)
        if (frame.headers[":message-type"] === "exception") this.#refuse(event.name, event.value?.message || JSON.stringify(event.value))
        if (text && first === null) first = now
        if (text) this.#text.append(h("span", {}, text))
        else if (event.value?.start?.toolUse) this.#text.append(`\n${event.value.start.toolUse.name} `)
        this.#frames.append(this.#toItem(frame, event, now, before))
        before = now
      }
    }
  }

  #toItem(frame, event, now, before) {
    const bytes = h("pre", {tabindex: 0})
    return h("li", {}, h("span", {}), h("span", {class: "at"}, milliseconds(now)), h("span", {class: "gap"}, before ? `+${milliseconds(now - before)}` : ""),
      h("div", {}, h("p", {}, h("b", {}, event.name), " ", h("code", {}, JSON.stringify(event.value))),
        h("details", {ontoggle: () => { bytes.textContent ||= toHex(frame.bytes) }}, h("summary", {}, "Bytes"), bytes)))
  }
}

/** Without a key the service takes region and access key id from a signature that it does not check. */
function claim({access_key_id: id, region}) {
  if (key.get()) return undefined
  const day = new Date().toISOString().slice(0, 10).replaceAll("-", "")
  return `AWS4-HMAC-SHA256 Credential=${encodeURIComponent(id || "AKIDPAGE")}/${day}/${region}/bedrock/aws4_request, SignedHeaders=host, Signature=${"0".repeat(64)}`
}
