// The embedded model from both of its containers: the safetensors that git holds and the GGUF that
// the build derives. The lossless recipe keeps every value: in plain f32 the logits are equal, and
// by default the answers are the same.
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { EMBEDDED_MODEL_PATH, loadModel, type LoadedModel } from "@ds4/engine"
import { renderChat } from "@ds4/chat"
import { largestDifference } from "./support/recorded.ts"

const QUESTIONS = ["What is 48 + 27?", "How do I make a GGUF file?", "Hello!"]

interface Both {
  safetensors: LoadedModel
  gguf: LoadedModel
}

async function openBoth(numerics: "plain" | "fast"): Promise<Both> {
  const open = async (path: string) => await loadModel(path, { numerics, maxSessions: 1 })
  return {
    safetensors: await open(EMBEDDED_MODEL_PATH),
    gguf: await open(join(EMBEDDED_MODEL_PATH, "demo.gguf")),
  }
}

async function closeBoth({ safetensors, gguf }: Both): Promise<void> {
  await safetensors.engine.close()
  await gguf.engine.close()
}

/** [positions, vocab] f32. */
function logitsOf({ engine }: LoadedModel, ids: readonly number[]): Float32Array {
  using session = engine.openSession(ids.length)
  return engine.step([{ session, tokens: ids, rows: "ALL" }])
}

async function greedyText({ engine, tokenizer }: LoadedModel, question: string): Promise<string> {
  const promptTokens = tokenizer.encodeSegments(
    renderChat({ messages: [{ role: "user", content: question }] }, { thinking: true }),
  )
  const ids: number[] = []
  for await (const event of engine.generate({
    promptTokens,
    maxTokens: 200,
    sampling: { temperature: 0 },
  })) {
    if (event.type === "tokens") ids.push(...event.tokens.map(({ id }) => id))
  }
  return tokenizer.decode(ids)
}

describe("models/demo as safetensors and as demo.gguf", () => {
  let plain: Both
  let fast: Both
  beforeAll(async () => {
    plain = await openBoth("plain")
    fast = await openBoth("fast")
  })
  afterAll(async () => {
    await closeBoth(plain)
    await closeBoth(fast)
  })

  test("the vocabularies are one", () => {
    const text = "How do I make a GGUF file? 漢字 🙂"
    expect(fast.gguf.tokenizer.encode(text)).toEqual(fast.safetensors.tokenizer.encode(text))
    expect(fast.gguf.engine.model.vocab).toBe(fast.safetensors.engine.model.vocab)
    expect([...fast.gguf.tokenizer.special]).toEqual([...fast.safetensors.tokenizer.special])
  })

  test("plain numerics: the logits are equal at every position, beyond the window too", () => {
    const { vocab } = plain.safetensors.engine.model
    // the window holds 256
    const ids = Array.from({ length: 300 }, (_, index) => (index * 7919 + 13) % vocab)
    const [expected, found] = [logitsOf(plain.safetensors, ids), logitsOf(plain.gguf, ids)]
    expect(found).toHaveLength(ids.length * vocab)
    expect(largestDifference(found, expected)).toBe(0)
  })

  test("default numerics: greedy answers are the same text", async () => {
    for (const question of QUESTIONS) {
      const expected = await greedyText(fast.safetensors, question)
      expect(expected.length).toBeGreaterThan(0)
      expect(await greedyText(fast.gguf, question)).toBe(expected)
    }
  })
})
