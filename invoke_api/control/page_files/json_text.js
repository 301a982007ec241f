// JSON in lines, each with the place of its value, and the difference of two lists of lines.

const MOST_COMPARED = 2000 // lines; the table below has their product of cells

/** Return the lines of a value's indented JSON, each with its `place`, such as `messages/0/role`. */
export function toLines(value, place = [], {name = "", indent = 0, comma = ""} = {}) {
  const start = " ".repeat(indent) + (name && `${JSON.stringify(name)}: `)
  const line = text => ({text: text, place: place.join("/")})
  if (value === null || typeof value !== "object" || !Object.keys(value).length) {
    return [line(start + JSON.stringify(value) + comma)]
  }
  const isList = Array.isArray(value)
  const entries = Object.entries(value)
  const inner = entries.flatMap(([key, each], at) => toLines(each, [...place, key], {
    name: isList ? "" : key, indent: indent + 2, comma: at < entries.length - 1 ? "," : "",
  }))
  return [line(start + (isList ? "[" : "{")), ...inner, line(" ".repeat(indent) + (isList ? "]" : "}") + comma)]
}

/** Return the lines of a body, which may be text that is no JSON. */
export function linesOf(body) {
  return typeof body === "string" ? body.split("\n").map(text => ({text, place: ""})) : toLines(body)
}

/**
 * Return the violations that an error message tells, each with its `place` and Bedrock's `words`.
 * Everit's sentences begin with `#/temperature:`, those of AWS's constraints have
 * `at 'inferenceConfig.maxTokens' failed`, and Converse's own ones name `messages.0.content`.
 */
export function violationsIn(message) {
  const found = []
  const everit = message.replace(/^Malformed input request: /, "").replace(/, please reformat your input and try again\.$/, "")
  for (const [words, place] of everit.matchAll(/#(?:\/([^\s:#]+))?: .*?(?=#\/[^\s:#]+: |#: |$)/gs)) {
    const key = /(?:extraneous) key \[([^\]]+)\]/.exec(words)?.[1]
    found.push({place: [place, key].filter(Boolean).join("/"), words: words.replace(/,\s*$/, "")})
  }
  if (found.length) return found
  for (const words of message.split(/; (?=Value)|(?<=detected: )/)) {
    const place = /at '([^']+)' failed/.exec(words)?.[1]
    if (place) found.push({place: fromModel(place), words})
  }
  if (found.length) return found
  const named = /\b([a-z]\w*\.\d+(?:\.\w+)*)/.exec(message)
  return named ? [{place: named[1].replace(/\./g, "/"), words: message}] : []
}

/** Return the place of AWS's `messages.1.member.role`, where members count from 1. */
function fromModel(place) {
  return place.replace(/\.(\d+)\.member\b/g, (_, number) => `.${number - 1}`).replace(/\./g, "/")
}

/** Return the violations by the number of the line where the value at their place begins. */
export function marks(lines, violations) {
  const marked = new Map()
  for (const each of violations) {
    const at = Math.max(0, lines.findIndex(line => line.place === each.place))
    marked.set(at, [...(marked.get(at) || []), each.words])
  }
  return marked
}

/** Return the lines of both texts, each with `sign` "-", "+" or " ". */
export function compare(before, after) {
  const one = before.slice(0, MOST_COMPARED), other = after.slice(0, MOST_COMPARED)
  const width = other.length + 1
  const longest = new Uint16Array((one.length + 1) * width)
  for (let row = one.length - 1; row >= 0; row--) {
    for (let column = other.length - 1; column >= 0; column--) {
      longest[row * width + column] = one[row] === other[column]
        ? longest[(row + 1) * width + column + 1] + 1
        : Math.max(longest[(row + 1) * width + column], longest[row * width + column + 1])
    }
  }
  const found = []
  let row = 0, column = 0
  while (row < one.length || column < other.length) {
    if (row < one.length && column < other.length && one[row] === other[column]) {
      found.push({sign: " ", text: one[row]})
      row++
      column++
    } else if (column >= other.length || (row < one.length && longest[(row + 1) * width + column] >= longest[row * width + column + 1])) {
      found.push({sign: "-", text: one[row++]})
    } else found.push({sign: "+", text: other[column++]})
  }
  return found
}
