import type { Tokenizer } from "@ds4/tokenizer"
import { defineCommand } from "../command.ts"
import { EXIT } from "../errors.ts"
import type { Io } from "../io.ts"
import { openTokenizer } from "../open-tokenizer.ts"
import { readPrompt } from "../read-prompt.ts"

function printTable(io: Io, tokenizer: Tokenizer, ids: readonly number[]): void {
  const width = String(tokenizer.vocab).length
  for (const id of ids)
    io.out(`${String(id).padStart(width)}  ${JSON.stringify(tokenizer.decode([id]))}\n`)
}

export const tokenize = defineCommand({
  name: "tokenize",
  usage: "[TEXT] [FLAGS]",
  summary: "shows the tokens of a text",
  details:
    "Control strings in the text are ordinary characters unless --special is given. Ids go to " +
    "stdout, one a line with its text.",
  examples: [
    'ds4 tokenize "Hello, world"',
    "ds4 tokenize -f README.md --count",
    "ds4 tokenize --json < text.txt",
  ],
  maxPositionals: 1000,
  run: async ({ flags, io, positionals }) => {
    const text = await readPrompt({ positionals, prompt: flags.prompt, file: flags.file, io })
    const tokenizer = await openTokenizer(flags.model, io)
    const ids = tokenizer.encodeSegments([{ text, control: flags.special }])
    if (flags.count)
      io.out(flags.json ? `${JSON.stringify({ tokens: ids.length })}\n` : `${ids.length}\n`)
    else if (flags.json)
      io.out(`${JSON.stringify({ ids, pieces: ids.map((id) => tokenizer.decode([id])) })}\n`)
    else printTable(io, tokenizer, ids)
    return EXIT.done
  },
})
