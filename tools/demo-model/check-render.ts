// Compares chat.py and bpe.py with the engine's own template and tokenizer, byte for byte and id
// for id.
//   python3 suite.py --seed 3 --out build/prompts.json --with-prompts && bun check-render.ts
// build/prompts.json
import { resolve } from "node:path"
import {
  renderChat,
  segmentsText,
  type Message,
  type ToolDeclaration,
} from "../../packages/chat/src/index.ts"
import { loadTokenizer } from "../../packages/tokenizer/src/index.ts"

interface Rendered {
  readonly id: string
  readonly thinking: boolean
  readonly messages: readonly Message[]
  readonly tools?: readonly ToolDeclaration[]
  readonly prompt: string
  readonly ids: readonly number[]
}

const path = process.argv[2]
if (path === undefined)
  throw new Error("usage: bun check-render.ts FILE, written by suite.py --with-prompts")
const { items } = (await Bun.file(path).json()) as { items: readonly Rendered[] }
const tokenizer = await loadTokenizer({
  kind: "tokenizer.json",
  path: resolve(import.meta.dir, "../../models/demo/tokenizer.json"),
})
let wrong = 0
for (const { id, thinking, messages, tools, prompt, ids } of items) {
  const segments = renderChat({ messages, ...(tools === undefined ? {} : { tools }) }, { thinking })
  const isEqual =
    segmentsText(segments) === prompt && tokenizer.encodeSegments(segments).join() === ids.join()
  if (!isEqual) console.error(`${id} differs`)
  wrong += isEqual ? 0 : 1
}
console.log(`${items.length} prompts, ${wrong} differ`)
process.exitCode = wrong === 0 && items.length > 0 ? 0 : 1
