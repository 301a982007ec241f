// Elements for the page. All text is set as text: no function here parses HTML.

const PROPERTIES = new Set(["value", "checked", "hidden", "disabled", "open", "selected"])

/** Return an element. `given` has attributes, and `on...` listeners; children are nodes or texts. */
export function h(tag, given, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(given || {})) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value)
    else if (PROPERTIES.has(name)) made[name] = value
    else made.setAttribute(name, value === true ? "" : String(value))
  }
  made.append(...children.flat().filter(each => each !== null && each !== undefined).map(toNode))
  return made
}

function toNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child))
}

/** Tell screen readers a sentence, without moving the focus. */
export function say(text) {
  document.getElementById("said").textContent = text
}

/** Show an error message above the view, or remove it. */
export function notice(text) {
  const place = document.getElementById("notice")
  place.textContent = text || ""
  place.hidden = !text
}

/** Return a button that copies a text, which `make` returns. */
export function copyButton(label, make) {
  return h("button", {type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(make())
      say(`Copied: ${label}`)
    } catch {
      notice("The browser refused to copy. Select the text instead.")
    }
  }}, label)
}

/** Return a table with a caption for screen readers. */
export function table(caption, heads, rows) {
  return h("table", {}, h("caption", {class: "unseen"}, caption),
    h("thead", {}, h("tr", {}, heads.map(each => h("th", {scope: "col"}, each)))),
    h("tbody", {}, rows))
}

export function milliseconds(value) {
  if (value === null || value === undefined) return ""
  return value < 10000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`
}

export function clock(time) {
  const moment = new Date(time)
  return `${moment.toLocaleTimeString([], {hour12: false})}.${String(moment.getMilliseconds()).padStart(3, "0")}`
}
