// Builds groups of native programs into dist/.
// Usage: bun native/build.ts [libraries] [benchmarks] [tests]     without a word: libraries
import { buildTargets, isTargetGroup } from "./package/build-tree.ts"

const words = process.argv.slice(2)
const unknown = words.find((word) => !isTargetGroup(word))
if (unknown !== undefined) {
  console.error(`native build: expected libraries, benchmarks or tests, not "${unknown}"`)
  process.exit(2)
}
await buildTargets(words.length === 0 ? ["libraries"] : words.filter(isTargetGroup))
