// The editor of a conversation: messages with a role, a text and images.

import {h, notice, say} from "./dom.js"

const FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}

export class Messages {
  #list = h("div", {})
  #changed
  #sees = true

  constructor(changed) {
    this.#changed = changed
    this.place = h("fieldset", {}, h("legend", {}, "Conversation"), this.#list,
      h("button", {type: "button", onclick: () => this.#add(this.#nextRole()).focus()}, "Add a message"))
    this.#add("user", "Why is the sky blue?")
  }

  /** Say whether the model takes images. */
  sees(value) {
    this.#sees = value
    for (const each of this.#list.querySelectorAll(".images")) each.hidden = !value
  }

  /** Return the messages. */
  read() {
    return [...this.#list.children].map(each => ({
      role: each.querySelector("select").value, text: each.querySelector("textarea").value,
      images: this.#sees ? each.images : [],
    }))
  }

  #nextRole() {
    return this.#list.lastElementChild?.querySelector("select").value === "user" ? "assistant" : "user"
  }

  #add(role, value = "") {
    const number = this.#list.children.length + 1
    const text = h("textarea", {rows: 3, value, "aria-label": `Text of message ${number}`, oninput: this.#changed})
    const names = h("span", {class: "hint"})
    const file = h("input", {type: "file", multiple: true, accept: Object.keys(FORMATS).join(","), onchange: () => this.#read(file, item, names)})
    const select = h("select", {"aria-label": `Role of message ${number}`, onchange: this.#changed},
      ["user", "assistant"].map(each => h("option", {value: each}, each)))
    select.value = role
    const item = h("div", {class: "message"}, h("p", {class: "actions"}, select,
      h("button", {type: "button", onclick: () => { item.remove(); this.#changed(); say("The message is removed") }}, "Remove")),
    text, h("p", {class: "images", hidden: !this.#sees}, h("label", {}, "Images ", file), names))
    item.images = []
    this.#list.append(item)
    if (number > 1) this.#changed()
    return text
  }

  async #read(file, item, names) {
    const files = [...file.files]
    const wrong = files.find(each => !(each.type in FORMATS))
    notice(wrong ? `${wrong.name} is no PNG, JPEG, GIF or WebP` : "")
    item.images = await Promise.all(files.filter(each => each.type in FORMATS).map(async each => ({
      format: FORMATS[each.type], base64: await toBase64(each),
    })))
    names.textContent = ` ${item.images.length} attached`
    this.#changed()
  }
}

async function toBase64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer())
  let text = ""
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  return btoa(text)
}
