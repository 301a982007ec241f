// Requests to the service that served the page. The key stays in sessionStorage.

const KEY = "invoke-api-key"

export const key = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: value => value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY),
}

/** The error of a request. `status` is 0 if the service did not answer. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
    this.needsKey = status === 401 || status === 403
  }
}

function headers(more) {
  return key.get() ? {Authorization: `Bearer ${key.get()}`, ...more} : {...more}
}

/** Send a request and return the response, whatever its status. Throws an `ApiError` without one. */
export async function send(path, {method = "GET", body, type, signal, claim} = {}) {
  try {
    const more = {...(type && {"Content-Type": type}), ...(claim && {Authorization: claim})}
    return await fetch(path, {method, body, signal, headers: headers(more), cache: "no-store"})
  } catch (error) {
    if (error.name === "AbortError") throw error
    throw new ApiError(0, "The service does not answer.")
  }
}

/** Return the document of a control route. Throws an `ApiError` with the route's own message. */
export async function ask(path, {method, document: sent} = {}) {
  const body = sent === undefined ? undefined : JSON.stringify(sent)
  const response = await send(path, {method, body, type: body && "application/json"})
  const text = await response.text()
  let found = null
  try { found = JSON.parse(text) } catch { /* told below */ }
  if (response.ok && found) return found
  throw new ApiError(response.status, found?.error || found?.message || found?.Message || `status ${response.status}`)
}
