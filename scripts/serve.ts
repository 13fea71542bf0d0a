// `bun run serve`: the server on a fresh clone. Installs and builds what is missing, then serves.
import { checkBunVersion, prepareModules, prepareNative } from "./prepare.ts"

checkBunVersion()
prepareModules()
prepareNative()
const { main } = await import("../packages/cli/src/main.ts")
process.exitCode = await main(["serve", ...process.argv.slice(2)])
