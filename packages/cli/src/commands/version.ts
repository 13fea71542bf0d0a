import { defineCommand } from "../command.ts"
import { EXIT } from "../errors.ts"
import manifest from "../../package.json" with { type: "json" }

export const version = defineCommand({
  name: "version",
  usage: "",
  summary: "shows versions",
  examples: ["ds4 version", "ds4 version --json"],
  maxPositionals: 0,
  run: async ({ flags, io }) => {
    const facts = {
      ds4: manifest.version,
      bun: Bun.version,
      platform: `${process.platform}-${process.arch}`,
    }
    io.out(
      flags.json
        ? `${JSON.stringify(facts)}\n`
        : `ds4 ${facts.ds4} (bun ${facts.bun}, ${facts.platform})\n`,
    )
    return EXIT.done
  },
})
