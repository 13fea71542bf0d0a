import { outputTarget } from "@ds4/model-file"
import type { OptionValues } from "@ds4/options"
import { answerSettings, systemText } from "../answer-settings.ts"
import type { Backend } from "../backend/backend.ts"
import { openBackend } from "../backend/open-backend.ts"
import { AnswerView } from "../chat/answer-view.ts"
import { runTurn } from "../chat/run-turn.ts"
import { defineCommand } from "../command.ts"
import { EXIT, usageError, type ExitCode } from "../errors.ts"
import { allowsColour, type Io } from "../io.ts"
import { progressOf } from "../progress-of.ts"
import { readPrompt } from "../read-prompt.ts"
import { collectAnswer, questionOf, resultJson, type RunRequest } from "../run/answer-json.ts"
import { runBatch } from "../run/batch.ts"

/** BOS: a prompt that begins with it has been rendered already. */
const RENDERED = "<\uff5cbegin\u2581of\u2581sentence\uff5c>"

async function runJson(
  backend: Backend,
  request: RunRequest,
  io: Io,
  isStream: boolean,
): Promise<ExitCode> {
  using progress = progressOf(io)
  const result = await collectAnswer(
    backend,
    request,
    progress,
    isStream ? (event) => io.out(`${JSON.stringify(event)}\n`) : undefined,
  )
  progress.stop()
  if (!isStream) io.out(`${JSON.stringify(resultJson(backend, result))}\n`)
  return result.finish === "cancelled" ? EXIT.interrupted : EXIT.done
}

/** Shows the answer while it arrives. */
async function runShown(
  backend: Backend,
  request: RunRequest,
  flags: OptionValues<"plain" | "hide-reasoning">,
  io: Io,
): Promise<ExitCode> {
  const view = new AnswerView({
    io,
    isRendered: !flags.plain && allowsColour(io, io.isOutputTerminal),
    showsReasoning: !flags["hide-reasoning"],
    showsStats: true,
    showsProgress: true,
    rows: () => process.stdout.rows || 24,
  })
  const turn = await runTurn(backend, request, view)
  view.end(turn.usage)
  return turn.finish === "cancelled" ? EXIT.interrupted : EXIT.done
}

export const run = defineCommand({
  name: "run",
  usage: "[PROMPT] [FLAGS]",
  summary: "answers one prompt",
  details:
    "The prompt comes from the arguments, -f FILE or standard input; piped input is appended to " +
    "an argument.",
  examples: [
    'ds4 run "What is a monad?"',
    "git diff | ds4 run 'Review this change.' -n 400",
    "ds4 run --batch questions.jsonl -o answers.jsonl",
  ],
  maxPositionals: 1000,
  run: async ({ flags, io, positionals, prepareNative }) => {
    const { batch, out } = flags
    if ((batch === undefined) !== (out === undefined))
      throw usageError("--batch and --out belong together")
    const text =
      batch === undefined
        ? await readPrompt({ positionals, prompt: flags.prompt, file: flags.file, io })
        : ""
    if (out !== undefined) outputTarget(out, flags.force) // refused before a model is loaded
    const abort = new AbortController()
    const onInterrupt = () =>
      abort.signal.aborted ? process.exit(EXIT.interrupted) : abort.abort()
    process.on("SIGINT", onInterrupt)
    const backend = await openBackend(flags, io, prepareNative)
    const settings = answerSettings(flags)
    const { signal } = abort
    try {
      if (batch !== undefined && out !== undefined)
        return await runBatch({
          backend,
          settings,
          input: batch,
          output: out,
          overwrite: flags.force,
          io,
          signal,
        })
      const isRendered = flags.raw || text.startsWith(RENDERED)
      const question = questionOf(text, systemText(flags), isRendered)
      const request: RunRequest = { question, settings, signal }
      if (flags.json || flags["stream-json"])
        return await runJson(backend, request, io, flags["stream-json"])
      return await runShown(backend, request, flags, io)
    } finally {
      process.off("SIGINT", onInterrupt)
      await backend.close()
    }
  },
})
