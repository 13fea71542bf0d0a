import type { ThinkingLevel } from "@ds4/chat"
import type { SamplingOptions } from "@ds4/engine"
import type { AnswerSettings } from "../../backend/backend.ts"
import { nearestName, type OptionName, OPTIONS, readValue, specOf } from "@ds4/options"
import { usageError } from "../../errors.ts"
import { STAY, type SlashCommand } from "./slash-command.ts"

interface Setting {
  readonly flag: OptionName
  readonly read: (settings: AnswerSettings) => number | undefined
  readonly write: (settings: AnswerSettings, value: number) => AnswerSettings
}

/** A setting that is a field of the sampling options. */
function sampled(flag: Setting["flag"], field: keyof SamplingOptions): Setting {
  return {
    flag,
    read: ({ sampling }) => {
      const value = sampling?.[field]
      return value === undefined ? undefined : Number(value)
    },
    write: (settings, value) => ({
      ...settings,
      sampling: { ...settings.sampling, [field]: value },
    }),
  }
}

const SETTINGS: readonly Setting[] = [
  sampled("temp", "temperature"),
  sampled("top-p", "topP"),
  sampled("top-k", "topK"),
  sampled("min-p", "minP"),
  sampled("seed", "seed"),
  { flag: "max-tokens", read: (s) => s.maxTokens, write: (s, maxTokens) => ({ ...s, maxTokens }) },
  {
    flag: "reasoning-budget",
    read: (s) => s.reasoningBudget,
    write: (s, reasoningBudget) => ({ ...s, reasoningBudget }),
  },
]

function show(settings: AnswerSettings): string {
  const lines = SETTINGS.map(
    ({ flag, read }) => `  ${flag.padEnd(18)}${String(read(settings) ?? "(default)")}`,
  )
  return [...lines, `  ${"think".padEnd(18)}${settings.thinking}`].join("\n")
}

function isThinkingLevel(text: string): text is ThinkingLevel {
  return OPTIONS.think.choices.some((level) => level === text)
}

/** Commands that show or change how the next answers are made. */
export const SETTING_COMMANDS: readonly SlashCommand[] = [
  {
    name: "think",
    usage: "low|high|max|off",
    takes: () => OPTIONS.think.choices,
    summary: "reasoning before the answer, from the next question on",
    run: (argument, { session, say }) => {
      if (argument !== "" && !isThinkingLevel(argument))
        throw usageError(`"${argument}" is not low, high, max or off`)
      const thinking = isThinkingLevel(argument) ? argument : session.settings.thinking
      session.settings = { ...session.settings, thinking }
      say(`think: ${thinking}`)
      return STAY
    },
  },
  {
    name: "reasoning",
    usage: "show|hide",
    takes: () => ["show", "hide"],
    summary: "whether reasoning is printed",
    run: (argument, { display, say }) => {
      if (argument !== "show" && argument !== "hide")
        throw usageError("say /reasoning show or /reasoning hide")
      display.showsReasoning = argument === "show"
      say(`reasoning: ${argument}`)
      return STAY
    },
  },
  {
    name: "system",
    usage: "[TEXT]",
    summary: 'show or change the system text; "" removes it',
    run: (argument, { session, say }) => {
      if (argument === '""') session.system = undefined
      else if (argument !== "") session.system = argument
      say(session.system === undefined ? "no system text" : `system: ${session.system}`)
      return STAY
    },
  },
  {
    name: "set",
    usage: "[NAME VALUE]",
    takes: () => SETTINGS.map(({ flag }) => flag),
    summary: "show or change temp, top-p, top-k, min-p, seed, max-tokens, reasoning-budget",
    run: (argument, { session, say }) => {
      const [name = "", value] = argument.split(/\s+/, 2)
      if (name === "") {
        say(show(session.settings))
        return STAY
      }
      const setting = SETTINGS.find(({ flag }) => flag === name)
      if (setting === undefined) {
        const nearest = nearestName(
          name,
          SETTINGS.map(({ flag }) => flag),
        )
        throw usageError(
          `there is no setting "${name}"` +
            `${nearest === undefined ? "" : `; did you mean ${nearest}?`}`,
        )
      }
      if (value !== undefined)
        session.settings = setting.write(
          session.settings,
          Number(readValue(name, specOf(setting.flag), value)),
        )
      say(`${name}: ${String(setting.read(session.settings) ?? "(default)")}`)
      return STAY
    },
  },
]
