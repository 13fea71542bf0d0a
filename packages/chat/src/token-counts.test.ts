// Prompt lengths reported by the vendor's service. They need the V4 vocabulary: DS4_TEST_TOKENIZER
// names a tokenizer.json or a model file that carries one. The V3 vocabulary has the same ordinary
// tokens.
import { describe, expect, test } from "bun:test"
import { basename, join } from "node:path"
import { renderChat } from "./template/chat-template.ts"
import { openModelFile } from "@ds4/model-file"
import { loadTokenizer, type Tokenizer } from "@ds4/tokenizer"
import { fixture } from "./testing/fixtures.ts"
import { DEEPSEEK_V3_TOKENIZER } from "@ds4/tokenizer/testing"

interface RecordedCase {
  id: string
  prompt_file: string
  expected_prompt_tokens: number
}
const { cases } = await fixture<{ cases: RecordedCase[] }>("token-counts.json")
const path = process.env.DS4_TEST_TOKENIZER
const lack = path === undefined ? " (skipped: DS4_TEST_TOKENIZER names no tokenizer)" : ""

const promptText = (file: string): Promise<string> =>
  Bun.file(join(import.meta.dir, "../fixtures/prompts", basename(file))).text()

const loadNamed = async (named: string): Promise<Tokenizer> => {
  if (named.endsWith(".json")) return loadTokenizer({ kind: "tokenizer.json", path: named })
  const { tokenizer } = await openModelFile(named)
  if (tokenizer === undefined) throw new Error(`${named} carries no vocabulary`)
  return loadTokenizer(tokenizer)
}
const named = path === undefined ? undefined : await loadNamed(path)
const v3 = await loadTokenizer(
  { kind: "tokenizer.json", path: DEEPSEEK_V3_TOKENIZER },
  { requireChat: false },
)

describe("token counts of the vendor's service", () => {
  for (const { id, prompt_file, expected_prompt_tokens } of cases) {
    test.skipIf(path === undefined)(`V4 vocabulary: ${id}${lack}`, async () => {
      const segments = renderChat(
        { messages: [{ role: "user", content: await promptText(prompt_file) }] },
        { thinking: false },
      )
      expect(named?.encodeSegments(segments)).toHaveLength(expected_prompt_tokens)
    })

    test(`V3 vocabulary, four control tokens added: ${id}`, async () => {
      expect(v3.encode(await promptText(prompt_file)).length + 4).toBe(expected_prompt_tokens)
    })
  }
})
