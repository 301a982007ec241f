// Summarise a text. A long text is first summarised in parts.
import { toPrompt } from "./mistral.js";

const WHOLE = "Summarise the following text in a few sentences.";
const PART = "Summarise the following part of a longer text in a few sentences.";
const PARTS =
  "These are summaries of the parts of one text. Make one summary of a few sentences of them.";

/** Return the summary. `screen` has `show` and `beginAgain`; they receive it as it arrives. */
export async function summarise(text, mistral, screen, size = 12_000) {
  const parts = split(text, size);
  if (parts.length === 1) return mistral.stream(toPrompt(WHOLE, text.trim()), screen);
  const summaries = [];
  for (const part of parts) {
    const { text: summary } = await mistral.answer(toPrompt(PART, part));
    summaries.push(summary);
  }
  return mistral.stream(toPrompt(PARTS, summaries.join("\n\n")), screen);
}

/** Split a text into parts of about `size` characters, between paragraphs. */
function split(text, size) {
  const parts = [];
  for (const paragraph of text.trim().split(/\n{2,}/)) {
    const last = parts.at(-1);
    if (last && last.length + paragraph.length <= size) {
      parts[parts.length - 1] = `${last}\n\n${paragraph}`;
    } else {
      parts.push(paragraph);
    }
  }
  return parts;
}
