import { defineCommand } from "../command.ts"
import { EXIT, messageOf, usageError } from "../errors.ts"
import { openTokenizer } from "../open-tokenizer.ts"
import { checkIds } from "../read-ids.ts"
import { readPrompt } from "../read-prompt.ts"

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw usageError(`the ids are not valid JSON: ${messageOf(error)}`)
  }
}

/**
 * Ids from a JSON array, from the output of tokenize --json, or from numbers with anything between
 * them.
 */
function parseIds(text: string, vocab: number): number[] {
  if (/^\s*[[{]/.test(text)) {
    const value = parseJson(text)
    if (typeof value === "object" && value !== null && "ids" in value)
      return checkIds("the input", value.ids, vocab)
    return checkIds("the input", value, vocab)
  }
  return checkIds(
    "the input",
    text
      .split(/[\s,]+/)
      .filter(Boolean)
      .map(Number),
    vocab,
  )
}

export const detokenize = defineCommand({
  name: "detokenize",
  usage: "[ID…] [FLAGS]",
  summary: "shows the text of token ids",
  examples: ["ds4 detokenize 104 101 108", "ds4 tokenize --json hello | ds4 detokenize"],
  maxPositionals: 1_000_000,
  run: async ({ flags, io, positionals }) => {
    const text = await readPrompt({
      positionals,
      file: flags.file,
      io: positionals.length > 0 ? { ...io, isInputTerminal: true } : io,
    })
    const tokenizer = await openTokenizer(flags.model, io)
    const decoded = tokenizer.decode(parseIds(text, tokenizer.vocab))
    io.out(flags.json ? `${JSON.stringify({ text: decoded })}\n` : `${decoded}\n`)
    return EXIT.done
  },
})
