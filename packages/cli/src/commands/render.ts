import {
  chatRequest,
  detectEffortTable,
  parseEffort,
  parseJson,
  type ReadRequest,
  renderChat,
  RequestError,
  segmentsText,
  type Effort,
} from "@ds4/chat"
import { defineCommand } from "../command.ts"
import { EXIT, messageOf, usageError } from "../errors.ts"
import { openTokenizer } from "../open-tokenizer.ts"
import { readPrompt } from "../read-prompt.ts"

/** A request body, or only its messages. */
function parseBody(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = parseJson(text) // keeps the order of keys and the spelling of numbers in schemas
  } catch (error) {
    throw usageError(`the request is not JSON: ${messageOf(error)}`)
  }
  if (Array.isArray(value)) return { messages: value }
  if (typeof value === "object" && value !== null && "messages" in value) return { ...value }
  throw usageError('expected a request body with "messages", or an array of messages')
}

/** A body that is no conversation is refused by the name of the field. */
function readRequest(body: Record<string, unknown>, profile: "reference" | "compat"): ReadRequest {
  try {
    return chatRequest(body, { profile })
  } catch (error) {
    throw error instanceof RequestError ? usageError(error.message) : error
  }
}

/**
 * Thinking and effort from --think, else from the request; thinking with the table's effort
 * otherwise.
 */
function effortOf(
  flag: string | undefined,
  body: Record<string, unknown>,
): { thinking: boolean; effort?: Effort } {
  const word = flag === "off" ? "none" : (flag ?? body.reasoning_effort)
  if (word === undefined || word === null) return { thinking: true }
  const effort = typeof word === "string" ? parseEffort(word) : undefined
  if (effort === undefined)
    throw usageError(`reasoning_effort is ${JSON.stringify(word)}, which is no effort`)
  return effort === "none" ? { thinking: false } : { thinking: true, effort }
}

export const render = defineCommand({
  name: "render",
  usage: "[FILE] [FLAGS]",
  summary: "shows the prompt that a chat request becomes",
  details:
    "FILE is a request body of the OpenAI chat interface, or only its messages; without it, " +
    "standard input.",
  examples: [
    "ds4 render request.json",
    "ds4 render request.json --json",
    "ds4 render request.json --think=max --template compat",
  ],
  maxPositionals: 1,
  run: async ({ flags, io, positionals }) => {
    const path = positionals[0] ?? flags.file
    const body = parseBody(
      await readPrompt({
        positionals: [],
        file: path,
        io: path === undefined || path === "-" ? io : { ...io, isInputTerminal: true },
      }),
    )
    const request = readRequest(body, flags.template)
    for (const warning of request.warnings) io.err(`ds4: ${warning}\n`)
    const effortTable = detectEffortTable(flags.model === undefined ? [] : [flags.model])
    const segments = renderChat(request.conversation, {
      ...effortOf(flags.think, body),
      profile: flags.template,
      effortTable,
      continueFinal: request.continueFinal,
      addGenerationPrompt: request.addGenerationPrompt,
    })
    const text = segmentsText(segments)
    if (!flags.json && !flags.count) {
      io.out(`${text}\n`)
      return EXIT.done
    }
    const ids = (await openTokenizer(flags.model, io)).encodeSegments(segments)
    io.out(flags.json ? `${JSON.stringify({ text, ids, segments })}\n` : `${ids.length}\n`)
    return EXIT.done
  },
})
