// `bun run serve`: the server on a fresh clone. Installs and builds what is missing, then serves.
import { prepareNative } from "./prepare.ts"
import { checkBunVersion, prepareModules } from "./prepare-modules.ts"

checkBunVersion()
prepareModules()
prepareNative()
const { main } = await import("../packages/cli/src/main.ts")
process.exitCode = await main(["serve", ...process.argv.slice(2)])
