import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { readTokenizerGguf, tokenizerGgufMetadata } from "./bpe/tokenizer-gguf.ts"
import { readTokenizerJson } from "./bpe/tokenizer-json.ts"
import { buildVocabulary } from "./bpe/vocabulary.ts"
import { REQUIRED_SPECIALS } from "./special-tokens.ts"
import { loadTokenizer, type Tokenizer } from "./tokenizer.ts"
import { TokenizerError } from "./tokenizer-error.ts"
import recordedByteMap from "../fixtures/byte-map.json"
import recordedSpecials from "../fixtures/special-tokens.json"
import { DEEPSEEK_V3_TOKENIZER } from "./testing/deepseek-v3.ts"
import { smallDocument, type TokenizerDocument, withFiles } from "./testing/small-vocabulary.ts"

const load = (document: unknown, others: Record<string, unknown> = {}): Promise<Tokenizer> =>
  withFiles({ "tokenizer.json": document, ...others }, (folder) =>
    loadTokenizer({ kind: "tokenizer.json", path: join(folder, "tokenizer.json") }),
  )

const spoilt = (spoil: (document: TokenizerDocument) => void): TokenizerDocument => {
  const document = smallDocument()
  spoil(document)
  return document
}

const refusal = async (loading: Promise<unknown>): Promise<TokenizerError> => {
  try {
    await loading
  } catch (error) {
    if (error instanceof TokenizerError) return error
    throw error
  }
  throw new Error("loading succeeded")
}

const metadataOf = async (): Promise<Map<string, unknown>> => {
  const { vocabulary } = await load(smallDocument())
  return new Map<string, unknown>(tokenizerGgufMetadata(vocabulary))
}

describe("both loaders", () => {
  test("give the same vocabulary for a small model", async () => {
    const { vocabulary } = await load(smallDocument())
    const again = buildVocabulary(readTokenizerGguf(tokenizerGgufMetadata(vocabulary), "x.gguf"))
    expect(again).toEqual(vocabulary)
  })

  test(
    "give the same vocabulary for the real one, whatever kind of array the metadata " + "holds",
    async () => {
      const vocabulary = buildVocabulary(await readTokenizerJson(DEEPSEEK_V3_TOKENIZER))
      const metadata = new Map<string, unknown>(tokenizerGgufMetadata(vocabulary))
      metadata.set(
        "tokenizer.ggml.token_type",
        BigInt64Array.from(metadata.get("tokenizer.ggml.token_type") as Int32Array, BigInt),
      )
      metadata.set("tokenizer.ggml.bos_token_id", 0n)
      expect(buildVocabulary(readTokenizerGguf(metadata, "x.gguf"))).toEqual(vocabulary)
    },
  )

  test("accept merges as pairs", async () => {
    const pairs = spoilt(
      ({ model }) => (model.merges = model.merges.map((merge) => String(merge).split(" "))),
    )
    expect((await load(pairs)).vocabulary).toEqual((await load(smallDocument())).vocabulary)
  })
})

describe("tokenizer.json", () => {
  test("the configuration beside it decides BOS, EOS and the number of ids", async () => {
    const tokenizer = await load(smallDocument(), {
      "config.json": { bos_token_id: 7, eos_token_id: [5, 6], vocab_size: 600 },
    })
    expect([tokenizer.bos, tokenizer.eos, tokenizer.vocab]).toEqual([7, 5, 600])
    expect(tokenizer.tokenBytes(599)).toEqual(new Uint8Array(0))
  })

  const cases: readonly (readonly [
    string,
    (document: TokenizerDocument) => void,
    string,
    RegExp,
  ])[] = [
    [
      "another split",
      ({ pre_tokenizer }) =>
        (pre_tokenizer.pretokenizers[0] = {
          type: "Split",
          pattern: { Regex: "\\p{N}" },
          behavior: "Isolated",
        }),
      "UNSUPPORTED",
      /step 0/,
    ],
    [
      "a missing split",
      ({ pre_tokenizer }) => pre_tokenizer.pretokenizers.pop(),
      "UNSUPPORTED",
      /3 steps/,
    ],
    [
      "a byte level with its own regex",
      ({ pre_tokenizer }) => (pre_tokenizer.pretokenizers[3] = { type: "ByteLevel" }),
      "UNSUPPORTED",
      /step 3/,
    ],
    [
      "a normalizer",
      (document) => (document.normalizer = { type: "NFC" }),
      "UNSUPPORTED",
      /normalizer/,
    ],
    ["byte fallback", ({ model }) => (model.byte_fallback = true), "UNSUPPORTED", /byte_fallback/],
    ["a missing byte", ({ model }) => delete model.vocab.Z, "MISSING_BYTE", /0x5a/],
    ["a merge of unknown tokens", ({ model }) => model.merges.push("q zz"), "FORMAT", /merge 12/],
    [
      "a merge that is no pair",
      ({ model }) => (model.merges[2] = "alone"),
      "FORMAT",
      /merges\[2\]/,
    ],
    [
      "a merge that makes a control token",
      (document) =>
        document.added_tokens.push({
          id: document.model.vocab.hell ?? 0,
          content: "hell",
          special: true,
        }),
      "FORMAT",
      /forge/,
    ],
    [
      "two tokens of one id",
      (document) => document.added_tokens.push({ id: 2, content: "<x>", special: true }),
      "FORMAT",
      /id 2/,
    ],
    [
      "one token of two ids",
      (document) => document.added_tokens.push({ id: 999, content: "hell", special: false }),
      "FORMAT",
      /999/,
    ],
    ["an absurd id", ({ model }) => (model.vocab.zzz = 1e9), "FORMAT", /1000000000/],
    [
      "missing control tokens",
      (document) => (document.added_tokens = document.added_tokens.slice(0, 2)),
      "MISSING_SPECIAL",
      /<think>/,
    ],
  ]
  for (const [name, spoil, code, message] of cases) {
    test(`refuses ${name}`, async () => {
      const error = await refusal(load(spoilt(spoil)))
      expect(error.code).toBe(code as TokenizerError["code"])
      expect(error.message).toMatch(message)
    })
  }

  test("names every missing control token", async () => {
    const error = await refusal(
      load(spoilt((document) => (document.added_tokens = document.added_tokens.slice(0, 2)))),
    )
    for (const text of REQUIRED_SPECIALS.slice(2)) expect(error.message).toContain(text)
    expect(error.message).not.toContain(REQUIRED_SPECIALS[0] ?? "?")
  })

  test("refuses what is no file and no JSON", async () => {
    expect(
      (await refusal(loadTokenizer({ kind: "tokenizer.json", path: "/nowhere/tokenizer.json" })))
        .code,
    ).toBe("IO")
    expect((await refusal(load("{"))).code).toBe("FORMAT")
    expect((await refusal(load("[]"))).code).toBe("FORMAT")
  })
})

describe("GGUF metadata", () => {
  const cases: readonly (readonly [string, string, unknown, string])[] = [
    ["another pre-tokenizer", "tokenizer.ggml.pre", "llama-bpe", "UNSUPPORTED"],
    ["another model", "tokenizer.ggml.model", "llama", "UNSUPPORTED"],
    ["tokens that are no array", "tokenizer.ggml.tokens", "abc", "FORMAT"],
    ["types of another length", "tokenizer.ggml.token_type", new Int32Array(3), "FORMAT"],
    ["a BOS id without a token", "tokenizer.ggml.bos_token_id", 100_000, "FORMAT"],
    ["no merges", "tokenizer.ggml.merges", undefined, "FORMAT"],
  ]
  for (const [name, key, value, code] of cases) {
    test(`refuses ${name}`, async () => {
      const metadata = await metadataOf()
      metadata.set(key, value)
      const error = await refusal(loadTokenizer({ kind: "gguf", path: "x.gguf", metadata }))
      expect(error.code).toBe(code as TokenizerError["code"])
      expect(error.message).toStartWith("x.gguf: ")
      if (typeof value === "string") expect(error.message).toContain(value)
    })
  }
  test("takes the first of several end tokens", async () => {
    const metadata = await metadataOf()
    const eos = Number(metadata.get("tokenizer.ggml.eos_token_id"))
    metadata.set("tokenizer.ggml.eos_token_id", [eos, 3])
    expect((await loadTokenizer({ kind: "gguf", path: "x.gguf", metadata })).eos).toBe(eos)
    metadata.set("tokenizer.ggml.eos_token_id", [])
    await refusal(loadTokenizer({ kind: "gguf", path: "x.gguf", metadata }))
  })
  test("accepts the sibling name of the pre-tokenizer", async () => {
    const metadata = await metadataOf()
    metadata.set("tokenizer.ggml.pre", "deepseek-v3")
    expect(
      (await loadTokenizer({ kind: "gguf", path: "x.gguf", metadata })).encode("hello"),
    ).toHaveLength(1)
  })
})

test("the byte map is the recorded one", async () => {
  const { CODE_POINT_OF_BYTE } = await import("./bpe/byte-map.ts")
  expect(CODE_POINT_OF_BYTE).toEqual(recordedByteMap.map)
})

test("the control strings are the recorded ones", async () => {
  const { KNOWN_SPECIALS } = await import("./special-tokens.ts")
  const { tokens } = recordedSpecials
  expect(new Set(KNOWN_SPECIALS)).toEqual(new Set(tokens.map(({ text }) => text)))
  expect(new Set(REQUIRED_SPECIALS)).toEqual(
    new Set(tokens.filter(({ required }) => required).map(({ text }) => text)),
  )
})
