// Preloaded by bun test in the folders whose tests read a tiny model: a fresh checkout has none.
import { prepareTinyModels } from "./prepare-tiny-models.ts"

await prepareTinyModels()
