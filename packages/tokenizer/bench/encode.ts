// Encoding speed of the real DeepSeek vocabulary on mixed text, and of inputs that ruin careless
// encoders.
// Usage: bun bench/encode.ts [megabytes]
import { USER } from "../src/special-tokens.ts"
import { loadTokenizer } from "../src/tokenizer.ts"
import { DEEPSEEK_V3_TOKENIZER } from "../src/testing/deepseek-v3.ts"
import { mixedText } from "../src/testing/mixed-text.ts"

const megabytes = Number(Bun.argv[2] ?? 10)
const bytes = megabytes * 1e6

const loadBegin = performance.now()
const tokenizer = await loadTokenizer(
  { kind: "tokenizer.json", path: DEEPSEEK_V3_TOKENIZER },
  { requireChat: false },
)
const loadMs = performance.now() - loadBegin

const measure = (
  scenario: string,
  text: string,
  encode = (): number[] => tokenizer.encode(text),
): void => {
  const size = Buffer.byteLength(text)
  const begin = performance.now()
  const tokens = encode().length
  const ms = performance.now() - begin
  const row = {
    scenario,
    bytes: size,
    tokens,
    ms: Math.round(ms),
    megabytesPerSecond: Number((size / ms / 1000).toFixed(2)),
  }
  console.log(JSON.stringify(row))
}

console.log(JSON.stringify({ scenario: "load", ms: Math.round(loadMs), vocab: tokenizer.vocab }))
const mixed = mixedText(bytes)
measure("mixed, cold caches", mixed)
measure("mixed, warm caches", mixed)
const messages = Array.from({ length: 100 }, (_, index) =>
  mixed.slice((index * mixed.length) / 100, ((index + 1) * mixed.length) / 100),
)
for (const turn of ["first", "second"]) {
  measure(`100 messages as segments, ${turn} turn`, mixed, () =>
    tokenizer.encodeSegments(
      messages.flatMap((text) => [
        { text, control: false },
        { text: USER, control: true },
      ]),
    ),
  )
}
measure("spaces", " ".repeat(bytes))
measure("one letter", "a".repeat(bytes))
measure("digits", "7".repeat(bytes))
measure("CJK", "的一是不了人".repeat(bytes / 18))
let blob = ""
for (
  let state = 1;
  blob.length < 65_536;
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
) {
  blob += String.fromCharCode(97 + ((state >>> 16) % 26))
}
measure("random letters", blob.repeat(bytes / blob.length))
