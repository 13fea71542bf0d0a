import { defineCommand } from "../command.ts"
import { EXIT } from "../errors.ts"
import { runItem, summarise, type ItemResult, type SuiteSummary } from "../eval/run-suite.ts"
import { SUITES } from "../eval/suite.ts"
import { MODEL_FLAGS } from "../flags/registry.ts"
import { loadEngine } from "../load-engine.ts"

const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`

function table(summary: SuiteSummary): string {
  const rows = summary.kinds.map(({ kind, right, total }) => [kind, `${right}/${total}`, percent(right, total)])
  rows.push(["ends by itself", `${summary.ended}/${summary.total}`, percent(summary.ended, summary.total)])
  const lines = rows.map(([name = "", count = "", share = ""]) => `${name.padEnd(16)}${count.padStart(9)}${share.padStart(10)}\n`)
  const rates = `prefill ${summary.promptTokensPerSecond.toFixed(0)} t/s, decode ${summary.decodeTokensPerSecond.toFixed(1)} t/s\n`
  return lines.join("") + rates
}

export const evaluate = defineCommand({
  name: "eval",
  usage: "[KIND...] [FLAGS]",
  summary: "asks a question set with greedy decoding and counts the right answers",
  details: "Kinds limit the set, as in ds4 eval fact arithmetic. --json prints every answer.",
  examples: ["ds4 eval", "ds4 eval tool-call tool-none --json", "ds4 eval -m model.gguf --numerics trained"],
  flags: [...MODEL_FLAGS, "suite", "json", "quiet"],
  maxPositionals: 20,
  run: async ({ flags, io, positionals, prepareNative }) => {
    const suite = SUITES[flags.suite]
    const items = (suite?.items ?? []).filter(({ kind }) => positionals.length === 0 || positionals.includes(kind))
    const { engine, tokenizer } = await loadEngine(flags, io, prepareNative, { maxSessions: 1 })
    const results: ItemResult[] = []
    try {
      for (const item of items) {
        results.push(await runItem(item, engine, tokenizer))
        if (!flags.quiet && io.isErrorTerminal) io.err(`\r${results.length}/${items.length} ${item.kind}\x1b[K`)
      }
    } finally {
      await engine.close()
    }
    if (!flags.quiet && io.isErrorTerminal) io.err("\r\x1b[K")
    const summary = summarise(results)
    if (flags.json) io.out(`${JSON.stringify({ schema: "ds4.eval/1", suite: flags.suite, model: engine.model.name, numerics: flags.numerics, ...summary, results })}\n`)
    else io.out(table(summary))
    return EXIT.done
  },
})
