// Frames of streams: what they say, and the event-stream encoding itself for the answers of Try.

/** Return bytes of base64. */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), each => each.charCodeAt(0))
}

/** Return bytes as lines of sixteen, in hexadecimal and ASCII. */
export function toHex(bytes) {
  const lines = []
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.slice(at, at + 16)]
    const hex = part.map(each => each.toString(16).padStart(2, "0")).join(" ")
    const ascii = part.map(each => each > 31 && each < 127 ? String.fromCharCode(each) : ".").join("")
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${ascii}`)
  }
  return lines.join("\n")
}

/** Return the name of a frame's event, and its document without padding. `frame` is the journal's. */
export function read(frame) {
  if (frame.headers) {
    const name = frame.headers[":event-type"] || frame.headers[":exception-type"] || frame.headers[":message-type"]
    return {name, value: open(frame.payload)}
  }
  if (frame.text !== undefined) {
    const data = frame.text.replace(/^data:\s*/, "").trim()
    try { return {name: "data", value: JSON.parse(data)} } catch { return {name: "data", value: data} }
  }
  return {name: "bytes", value: frame.base64 ?? frame.json ?? ""}
}

function open(payload) {
  if (payload.text !== undefined) return payload.text
  if (payload.base64 !== undefined) return payload.base64
  const value = payload.json
  if (!value || typeof value !== "object") return value
  if (value.bytes && typeof value.bytes === "object") return open(value.bytes)
  const {p: _, ...rest} = value
  return rest
}

/** Return the text that the document of an event adds to the answer. */
export function textOf(value) {
  if (!value || typeof value !== "object") return ""
  const choice = value.choices?.[0]
  return value.outputs?.[0]?.text ?? value.delta?.text ?? value.delta?.toolUse?.input
    ?? choice?.delta?.content ?? choice?.message?.content ?? choice?.text ?? value.generation ?? ""
}

/** A reader of an event stream, which returns the frames that bytes complete. */
export class FrameReader {
  #held = new Uint8Array(0)

  feed(data) {
    const bytes = new Uint8Array(this.#held.length + data.length)
    bytes.set(this.#held)
    bytes.set(data, this.#held.length)
    const view = new DataView(bytes.buffer)
    const frames = []
    let at = 0
    while (bytes.length >= at + 12) {
      const total = view.getUint32(at)
      if (total < 16 || bytes.length < at + total) break
      frames.push(toFrame(bytes.slice(at, at + total)))
      at += total
    }
    this.#held = bytes.slice(at)
    return frames
  }
}

function toFrame(bytes) {
  const view = new DataView(bytes.buffer), decoder = new TextDecoder()
  const end = 12 + view.getUint32(4)
  const headers = {}
  for (let at = 12; at < end;) {
    const length = bytes[at], name = decoder.decode(bytes.slice(at + 1, at + 1 + length))
    at += 1 + length
    if (bytes[at] !== 7) break // Bedrock has strings only
    const size = view.getUint16(at + 1)
    headers[name] = decoder.decode(bytes.slice(at + 3, at + 3 + size))
    at += 3 + size
  }
  const payload = decoder.decode(bytes.slice(end, bytes.length - 4))
  return {bytes, headers, payload: {json: toDocument(payload)}}
}

function toDocument(payload) {
  try {
    const value = JSON.parse(payload)
    if (typeof value.bytes !== "string") return value
    return {...value, bytes: {json: JSON.parse(new TextDecoder().decode(fromBase64(value.bytes)))}}
  } catch {
    return payload
  }
}
