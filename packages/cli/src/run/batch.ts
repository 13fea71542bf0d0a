import { chatRequest, parseJson, RequestError } from "@ds4/chat"
import { openGrowingOutput } from "@ds4/model-file"
import { Progress } from "@ds4/progress"
import { readTextFlag } from "../answer-settings.ts"
import type { AnswerSettings, Backend, Question } from "../backend/backend.ts"
import { CliError, EXIT, messageOf, usageError, type ExitCode } from "../errors.ts"
import type { Io } from "../io.ts"
import { progressOf } from "../progress-of.ts"
import { collectAnswer, questionOf, resultJson } from "./answer-json.ts"

interface BatchOptions {
  readonly backend: Backend
  readonly settings: AnswerSettings
  readonly input: string
  readonly output: string
  readonly overwrite: boolean
  readonly io: Io
  readonly signal: AbortSignal
}

interface BatchLine {
  readonly id: unknown
  readonly question: Question
}

/** Checks one line before anything runs: a mistake in line 900 must not cost 899 answers. */
function parseLine(path: string, text: string, index: number): BatchLine {
  const bad = (why: string) => usageError(`${path}:${index + 1}: ${why}`)
  let value: unknown
  try {
    value = parseJson(text) // keeps the order of keys and the spelling of numbers in schemas
  } catch (error) {
    throw bad(`not JSON: ${messageOf(error)}`)
  }
  if (typeof value !== "object" || value === null)
    throw bad('expected {"prompt": "…"} or {"messages": […]}')
  const id = "id" in value ? value.id : index
  if ("prompt" in value && typeof value.prompt === "string")
    return { id, question: questionOf(value.prompt, undefined, false) }
  if (!("messages" in value)) throw bad('expected a "prompt" text or "messages"')
  try {
    const { conversation, continueFinal, addGenerationPrompt } = chatRequest(value)
    const asked = { ...conversation, continueFinal, addGenerationPrompt }
    return { id, question: { type: "conversation", conversation: asked } }
  } catch (error) {
    throw error instanceof RequestError ? bad(error.message) : error
  }
}

/**
 * Answers every line of a JSON lines file. An answer that fails becomes a line with "error", and
 * exit code 1.
 */
export async function runBatch({
  backend,
  settings,
  input,
  output,
  overwrite,
  io,
  signal,
}: BatchOptions): Promise<ExitCode> {
  const lines = readTextFlag("batch", input)
    .split("\n")
    .map((text, index) => ({ text, index }))
    .filter(({ text }) => text.trim() !== "")
  const requests = lines.map(({ text, index }) => parseLine(input, text, index))
  await using opened = await openGrowingOutput(output, { overwrite })
  const encoder = new TextEncoder()
  using progress = progressOf(io)
  progress.begin({ label: "answered", unit: "items", total: requests.length })
  let failed = 0
  for (const [index, { id, question }] of requests.entries()) {
    if (signal.aborted) return EXIT.interrupted
    let result: Record<string, unknown>
    try {
      result = resultJson(
        backend,
        await collectAnswer(backend, { question, settings, signal }, new Progress(undefined)),
      )
    } catch (error) {
      failed += 1
      result = { error: messageOf(error) }
    }
    await opened.sink.write(encoder.encode(`${JSON.stringify({ id, ...result })}\n`))
    progress.update(index + 1)
  }
  if (failed === 0) return EXIT.done
  throw new CliError(
    EXIT.failed,
    `${failed} of ${requests.length} answers failed; their lines in ${output} hold an "error"`,
  )
}
