// Builds groups of native programs into dist/.
// Usage: bun native/build.ts [libraries] [benchmarks] [tests] [cuda]     without a word: libraries
// cuda: libraries, tests and benchmarks for a machine with a GPU, here or elsewhere; needs nvcc.
import { buildTargets, isTargetGroup } from "./package/build-tree.ts"

const words = process.argv.slice(2)
const unknown = words.find((word) => !isTargetGroup(word))
if (unknown !== undefined) {
  console.error(`native build: expected libraries, benchmarks, tests or cuda, not "${unknown}"`)
  process.exit(2)
}
await buildTargets(words.length === 0 ? ["libraries"] : words.filter(isTargetGroup))
