// Builds the libraries and benchmarks into an emptied dist/. The test programs are built by
// test.ts.
import { rmSync } from "node:fs"
import { buildTargets, PRODUCTS } from "./package/build-tree.ts"
import { DIST } from "./package/index.ts"

rmSync(DIST, { recursive: true, force: true })
buildTargets(PRODUCTS)
