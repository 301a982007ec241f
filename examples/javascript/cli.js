#!/usr/bin/env node
// usage: node cli.js [FILE]
import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import { BedrockRuntimeClient } from "@aws-sdk/client-bedrock-runtime";
import { Mistral } from "./mistral.js";
import { summarise } from "./summarise.js";

const [file] = process.argv.slice(2);
const note = (sentence) => console.error(`summarise: ${sentence}`);
// A terminal shows the summary as it arrives. A file or pipe gets the complete text.
const live = process.stdout.isTTY;
let withinLine = false;
const screen = {
  show(piece) {
    if (!live) return;
    process.stdout.write(piece);
    withinLine = true;
  },
  beginAgain(reason) {
    endLine();
    note(`${reason} Beginning again.`);
  },
};

function endLine() {
  if (withinLine) console.log();
  withinLine = false;
}

const client = new BedrockRuntimeClient();
try {
  const text = file ? await readFile(file, "utf8") : await readAll(process.stdin);
  if (!text.trim()) throw new Error("there is nothing to summarise");
  const summary = await summarise(text, new Mistral(client), screen);
  endLine();
  if (!live) console.log(summary.text);
  if (summary.stopReason === "length") note("The summary was cut at its greatest length.");
} catch (error) {
  endLine();
  note(error.message);
  process.exitCode = 1;
} finally {
  client.destroy();
}
