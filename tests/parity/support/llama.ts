// llama.cpp as a judge: a small C program of ours (tests/oracle/llama-oracle.c), compiled once a
// test process, over the libraries of an npm package.
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"

const folder = mkdtempSync(join(tmpdir(), "ds4-llama-"))
const libraries = join(
  dirname(Bun.resolveSync("@node-llama-cpp/linux-x64/package.json", import.meta.dir)),
  "bins/linux-x64",
)
let program: string | undefined

function oracle(): string {
  if (program !== undefined) return program
  const target = join(folder, "llama-oracle")
  const source = resolve(import.meta.dir, "../../oracle/llama-oracle.c")
  const built = Bun.spawnSync(["cc", "-O1", "-o", target, source, "-ldl"])
  if (built.exitCode !== 0)
    throw new Error(`cannot build the llama.cpp driver: ${built.stderr.toString()}`)
  program = target
  return target
}

/**
 * One thread: the model is tiny, and llama.cpp's threads spin while they wait for one another. On
 * two cores with other work a run with two threads took twelve times as long.
 */
const THREADS = 1
const CONTEXT_TOKENS = 1024

export interface LlamaResult {
  readonly vocab: number
  /** [positions, vocab] */
  readonly logits: Float32Array
  readonly greedy: readonly number[]
}

export async function runLlama(
  model: string,
  ids: readonly number[],
  greedySteps: number,
): Promise<LlamaResult> {
  const out = join(folder, `${Bun.randomUUIDv7()}.f32`)
  const sizes = [THREADS, CONTEXT_TOKENS, greedySteps].map(String)
  const run = Bun.spawn([oracle(), libraries, model, ids.join(","), out, ...sizes], {
    stdout: "pipe",
    stderr: "pipe",
  })
  const [text, errors, code] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
    run.exited,
  ])
  if (code !== 0) throw new Error(`llama.cpp refused ${model}: ${errors}`)
  const numbers = (prefix: string): number[] =>
    (text.split("\n").find((line) => line.startsWith(prefix)) ?? "")
      .slice(prefix.length)
      .trim()
      .split(" ")
      .map(Number)
  const [vocab = 0] = numbers("vocab:")
  return {
    vocab,
    logits: new Float32Array(await Bun.file(out).arrayBuffer()),
    greedy: numbers("greedy:"),
  }
}
