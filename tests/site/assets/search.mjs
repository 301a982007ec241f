// Ask the search of a built site, as its pages do: its worker in a context of its own.
// usage: node search.mjs FOLDER QUESTION...    prints for each question the locations found, best first
import { readFileSync, readdirSync } from "node:fs"
import vm from "node:vm"

const [folder, ...questions] = process.argv.slice(2)
const scripts = `${folder}/assets/javascripts/workers`
const [name] = readdirSync(scripts).filter(each => /^search\..*\.js$/.test(each))
const waiting = []
const context = vm.createContext({
  addEventListener: (_, listener) => { context.listener = listener },
  postMessage: message => waiting.shift()(message),
  console,
})
context.self = context
vm.runInContext(readFileSync(`${scripts}/${name}`, "utf8"), context)

const ask = data => new Promise(done => { waiting.push(done); context.listener({ data }) })
const { config, docs } = JSON.parse(readFileSync(`${folder}/search/search_index.json`, "utf8"))
await ask({ type: 0, data: { config, docs, options: { suggest: true } } })
const found = []
for (const question of questions) {
  const { data } = await ask({ type: 2, data: question })
  found.push(data.items.map(([first]) => first.location))
}
console.log(JSON.stringify(found))
