import {h} from "./dom.js"
export async function showTry({place}) { place.append(h("h1", {}, "Try")) }
