// Runs every TypeScript program of a README as it stands there, in the repository's root.
import { describe, expect, test } from "bun:test"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const ROOT = join(import.meta.dir, "../..")
const FOLDER = join(ROOT, ".reports") // package names resolve here as they do in the root
const LIMIT_MS = 60_000
const MOST_LINES = 20

/** Texts that the programs of a README print, in the order in which the programs stand there. */
const PRINTED: Readonly<Record<string, readonly RegExp[]>> = {
  "README.md": [/\S/], // sampled: the words differ from run to run
  "packages/chat/README.md": [
    /^get_weather \{"city":"Rome"\}\nIn Rome it is sunny with 21 degrees\.\n?$/,
    /^"What is 17 \+ 25\?" becomes \d+ tokens\n[\s\S]*42/,
  ],
  "packages/engine/README.md": [/\S/],
  "packages/ffi/README.md": [/^libds4 has ABI version \d+; its session options take \d+ bytes\n$/],
  "packages/kt-bridge/README.md": [
    /(\d+) of \1 bytes\n[\s\S]*Float32Array\(4\) \[(?:\s*-?\d+\.\d+(?:e-\d+)?,){3}/,
  ],
  "packages/kv-store/README.md": [/^4500 36672\n$/],
  "packages/model-file/README.md": [/^demo 7 \d+ \d+\n$/],
  "packages/options/README.md": [/^9000 4096 127\.0\.0\.1 \[\]\n$/],
  "packages/progress/README.md": [/^1010 MiB\n$/],
  "packages/server/README.md": [/42/],
  "packages/tokenizer/README.md": [/^\d+ Name a prime\.\n$/],
}

function programsOf(path: string): string[] {
  const text = readFileSync(join(ROOT, path), "utf8")
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code ?? "")
}

function run(program: string, name: string): { code: number; out: string; err: string } {
  mkdirSync(FOLDER, { recursive: true })
  const path = join(FOLDER, `${name}-${process.pid}.ts`)
  writeFileSync(path, program)
  try {
    const child = Bun.spawnSync([process.execPath, path], { cwd: ROOT, timeout: LIMIT_MS })
    return { code: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() }
  } finally {
    rmSync(path)
  }
}

test("every README with programs is listed here", () => {
  const readmes = ["README.md", "*/README.md", "packages/*/README.md"].flatMap((pattern) => [
    ...new Bun.Glob(pattern).scanSync({ cwd: ROOT }),
  ])
  const withPrograms = readmes.filter((path) => programsOf(path).length > 0)
  expect(withPrograms.toSorted()).toEqual(Object.keys(PRINTED).toSorted())
})

for (const [path, printed] of Object.entries(PRINTED)) {
  describe(path, () => {
    const programs = programsOf(path)
    test("each of its programs is expected to print something", () => {
      expect(programs).toHaveLength(printed.length)
    })
    test.each(programs.map((program, index) => [index + 1, program] as const))(
      "program %i runs",
      (number, program) => {
        expect(program.trim().split("\n").length).toBeLessThanOrEqual(MOST_LINES)
        const name = `${path.replaceAll(/\W+/g, "-")}-${number}`
        const { code, out, err } = run(program, name)
        expect({ code, err }).toEqual({ code: 0, err: "" })
        expect(out).toMatch(printed[number - 1] ?? /never/)
      },
      LIMIT_MS,
    )
  })
}
