// Text to token ids and back, and the prompt that a conversation becomes. No engine is loaded.
// Usage: bun examples/tokenize.ts [MODEL]
import { renderChat, segmentsText } from "@ds4/chat"
import { openModelFile } from "@ds4/model-file"
import { loadTokenizer } from "@ds4/tokenizer"

const file = await openModelFile(process.argv[2] ?? "models/demo")
if (file.tokenizer === undefined) throw new Error(`${file.path} carries no vocabulary`)
const tokenizer = await loadTokenizer(file.tokenizer)

const text = "Zürich costs 3 €, <｜User｜> is plain text here."
const ids = tokenizer.encode(text)
console.log(ids.length, "ids; back again:", tokenizer.decode(ids) === text)

// Control strings count only in segments that the template marks: clients cannot forge a turn.
const segments = renderChat({ messages: [{ role: "user", content: text }] }, { thinking: false })
console.log(JSON.stringify(segmentsText(segments)))
console.log(tokenizer.encodeSegments(segments).length, "ids in the prompt")
