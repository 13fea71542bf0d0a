#!/usr/bin/env bun
// Entry of the `ds4` command: makes the checkout ready, then imports the command itself.
import { checkBunVersion, prepareModules } from "../../../scripts/prepare-modules.ts"
import { prepareBenchmarks, prepareNative } from "../../../scripts/prepare.ts"

checkBunVersion()
prepareModules()
const { main } = await import("../src/main.ts")
process.exitCode = await main(process.argv.slice(2), { prepareNative, prepareBenchmarks })
