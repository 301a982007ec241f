// The state of the page in its address: the view, the filters, the call that is open.

/** Return the parameters of the address as an object. */
export function read() {
  return Object.fromEntries(new URLSearchParams(location.search))
}

/** Return the address of these parameters. Empty ones are left out. */
export function toAddress(parameters) {
  const pairs = Object.entries(parameters).filter(([, value]) => value)
  const query = new URLSearchParams(pairs).toString()
  return query ? `?${query}` : location.pathname
}

/** Go to these parameters; `replace` leaves no entry in the history. */
export function go(parameters, {replace = false} = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", toAddress(parameters))
  window.dispatchEvent(new Event("address"))
}

/** Change the address without showing the view anew. */
export function note(parameters) {
  history.replaceState(null, "", toAddress(parameters))
}
