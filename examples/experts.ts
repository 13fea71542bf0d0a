// One layer of routed experts in CPU memory, without the engine.
// Usage: bun examples/experts.ts
import { ExpertPool } from "@ds4/kt-bridge"

const HIDDEN = 256
using pool = ExpertPool.open({ threads: 2, numerics: "int8" })
const [layer] = await pool.load({
  folder: "models/demo",
  layers: [3],
  shape: {
    experts: 16,
    expertsPerToken: 4,
    hidden: HIDDEN,
    moeIntermediateSize: 128,
    swigluLimit: 10,
  },
})
if (layer === undefined) throw new Error("no layer was loaded")

const output = await layer.submit({
  input: Float32Array.from({ length: HIDDEN }, (_, channel) => Math.sin(channel)), // [1, hidden]
  ids: Int32Array.of(2, 7, 11, 13), // [1, expertsPerToken]
  weights: Float32Array.of(0.6, 0.5, 0.3, 0.1),
})
console.log("rms", Math.sqrt(output.reduce((sum, value) => sum + value * value, 0) / HIDDEN))
