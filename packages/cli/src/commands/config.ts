import {
  COMMAND_NAMES,
  defaultConfigPath,
  type EffectiveOption,
  effectiveOption,
  OPTION_SUBJECTS,
  type OptionName,
  type OptionSources,
  specOf,
  variableOf,
} from "@ds4/options"
import { defineCommand } from "../command.ts"
import { EXIT } from "../errors.ts"
import type { Io } from "../io.ts"

interface Setting extends EffectiveOption {
  readonly name: OptionName
  /** The defaults of commands that state one of their own, while nothing else sets the option. */
  readonly defaults: Readonly<Record<string, string | number>>
}

function settingOf(name: OptionName, sources: OptionSources): Setting {
  const effective = effectiveOption(name, sources)
  const isHidden = specOf(name).isSecret === true && effective.value !== undefined
  return {
    name,
    ...effective,
    ...(isHidden ? { value: "(set)" } : {}),
    defaults: effective.origin === "default" ? ownDefaults(name) : {},
  }
}

function ownDefaults(name: OptionName): Record<string, string | number> {
  const general = specOf(name).default
  return Object.fromEntries(
    COMMAND_NAMES.flatMap((command) => {
      const own = specOf(name, command).default
      return own === undefined || own === general ? [] : [[command, own] as const]
    }),
  )
}

function shown({ value, defaults }: Setting): string {
  const isUnset = value === undefined || (Array.isArray(value) && value.length === 0)
  const general = isUnset ? "(unset)" : Array.isArray(value) ? value.join(", ") : String(value)
  const own = Object.entries(defaults).map(([command, each]) => ` (${command}: ${each})`)
  return `${general}${own.join("")}`
}

/** All options but `help`, which no setting can be. */
function subjects(): { title: string; names: readonly OptionName[] }[] {
  return OPTION_SUBJECTS.map(({ title, names }) => ({
    title,
    names: names.filter((name) => name !== "help"),
  }))
}

/** One option a line, its name in front, so that a script finds a setting by the line's start. */
function printText(sources: OptionSources, path: string, io: Io): void {
  io.out(`configuration file: ${path}${sources.file === undefined ? " (not there)" : ""}\n`)
  for (const { title, names } of subjects()) {
    io.out(`\n# ${title}\n`)
    for (const name of names) {
      const setting = settingOf(name, sources)
      io.out(`${name.padEnd(20)} ${shown(setting).padEnd(24)} ${setting.source}\n`)
    }
  }
}

function printJson(sources: OptionSources, path: string, io: Io): void {
  const settings = subjects().flatMap(({ names }) =>
    names.map((name) => {
      const { value, ...rest } = settingOf(name, sources)
      const { commands } = specOf(name)
      return { ...rest, value: value ?? null, variable: variableOf(name), commands }
    }),
  )
  const fileExists = sources.file !== undefined
  const report = { schema: "ds4.config/1", file: path, fileExists, settings }
  io.out(`${JSON.stringify(report, undefined, 2)}\n`)
}

export const config = defineCommand({
  name: "config",
  usage: "[FLAGS]",
  summary: "shows the effective settings and where each comes from",
  details:
    "A flag wins over its DS4_ variable, which wins over ds4.toml, which wins over the default.",
  examples: ["ds4 config", "DS4_TEMP=0 ds4 config --json"],
  maxPositionals: 0,
  run: async ({ flags, sources, io }) => {
    const path = sources.file?.path ?? defaultConfigPath(io.environment)
    if (flags.json) printJson(sources, path, io)
    else printText(sources, path, io)
    return EXIT.done
  },
})
