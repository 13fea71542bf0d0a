import { chatWith } from "@ds4/chat"
import { defineCommand } from "../command.ts"
import { EXIT, usageError } from "../errors.ts"
import {
  runItem,
  summarise,
  type ItemResult,
  type Share,
  type SuiteSummary,
} from "../eval/run-suite.ts"
import { readSuite, SUITES, type Suite, type SuiteItem } from "../eval/suite.ts"
import { loadChatModel } from "../load-engine.ts"
import { progressOf } from "../progress-of.ts"

function row(name: string, { right, total, percent, goalPercent }: Share): string {
  const goal =
    goalPercent === undefined
      ? ""
      : `${goalPercent} %`.padStart(8) + (percent < goalPercent ? "  missed" : "")
  return (
    `${name.padEnd(16)}${String(right).padStart(7)}${String(total).padStart(7)}` +
    `${`${percent.toFixed(1)} %`.padStart(10)}${goal}\n`
  )
}

function table({
  kinds,
  ended,
  promptTokensPerSecond,
  decodeTokensPerSecond,
}: SuiteSummary): string {
  const head =
    `${"kind".padEnd(16)}${"right".padStart(7)}${"total".padStart(7)}` +
    `${"share".padStart(10)}` +
    `${"goal".padStart(8)}\n`
  const rows = [...kinds.map((share) => row(share.kind, share)), row("ends by itself", ended)]
  return (
    `${head}${rows.join("")}prefill ${promptTokensPerSecond.toFixed(0)} t/s, decode ` +
    `${decodeTokensPerSecond.toFixed(1)} t/s\n`
  )
}

function json({ kinds, ended, ...rates }: SuiteSummary): Record<string, unknown> {
  const share = ({ right, total, percent, goalPercent }: Share) => ({
    right,
    total,
    percent,
    goal_percent: goalPercent ?? null,
  })
  return {
    kinds: kinds.map((each) => ({ kind: each.kind, ...share(each) })),
    ended: share(ended),
    prefill_tokens_per_second: rates.promptTokensPerSecond,
    decode_tokens_per_second: rates.decodeTokensPerSecond,
  }
}

/** The items of the kinds that are named, of all kinds when none is. */
function itemsOf(suite: Suite, kinds: readonly string[]): readonly SuiteItem[] {
  const known = [...new Set(suite.items.map(({ kind }) => kind))]
  const unknown = kinds.find((kind) => !known.includes(kind))
  if (unknown !== undefined)
    throw usageError(`the suite ${suite.name} has no kind "${unknown}"; it has ${known.join(", ")}`)
  return suite.items.filter(({ kind }) => kinds.length === 0 || kinds.includes(kind))
}

export const evaluate = defineCommand({
  name: "eval",
  usage: "[KIND...] [FLAGS]",
  summary: "asks a question set with greedy decoding and counts the right answers",
  details:
    "Kinds limit the set, as in ds4 eval fact arithmetic. The goals are those of the model that " +
    "the set was made for.\n--json prints every answer, too.",
  examples: [
    "ds4 eval",
    "ds4 eval --suite demo tool-call tool-none --json",
    "ds4 eval -m model.gguf --numerics trained",
  ],
  maxPositionals: 20,
  run: async ({ flags, io, positionals, prepareNative }) => {
    const source = SUITES[flags.suite]
    if (source === undefined)
      throw usageError(
        `there is no suite "${flags.suite}"; there is ${Object.keys(SUITES).join(", ")}`,
      )
    const suite = await readSuite(source)
    const items = itemsOf(suite, positionals)
    const loaded = await loadChatModel(flags, io, prepareNative, { maxSessions: 1 })
    // Items are independent: none repeats the sampled ids of another one's answer.
    const chat = chatWith(loaded, { answers: 0, toolCalls: { maxIds: 0 } })
    const results: ItemResult[] = []
    using progress = progressOf(io)
    progress.begin({ label: "answered", unit: "items", total: items.length })
    try {
      for (const item of items) {
        results.push(await runItem(item, chat))
        progress.update(results.length)
      }
    } finally {
      await chat.close()
      progress.stop()
    }
    const summary = summarise(results, suite)
    if (flags.json) {
      const report = {
        schema: "ds4.eval/2",
        suite: suite.name,
        model: chat.engine.model.name,
        numerics: flags.numerics,
        ...json(summary),
        results,
      }
      io.out(`${JSON.stringify(report)}\n`)
    } else io.out(table(summary))
    return EXIT.done
  },
})
