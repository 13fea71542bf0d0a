import type { AnswerSettings, ThinkLevel } from "../../backend/backend.ts"
import { nearestName, type OptionName, OPTIONS, readValue, specOf } from "@ds4/options"
import { usageError } from "../../errors.ts"
import { STAY, type SlashCommand } from "./slash-command.ts"

interface Setting {
  readonly flag: OptionName
  readonly read: (settings: AnswerSettings) => number | undefined
  readonly write: (settings: AnswerSettings, value: number) => AnswerSettings
}

const SETTINGS: readonly Setting[] = [
  { flag: "temp", read: (s) => s.temperature, write: (s, temperature) => ({ ...s, temperature }) },
  { flag: "top-p", read: (s) => s.topP, write: (s, topP) => ({ ...s, topP }) },
  { flag: "top-k", read: (s) => s.topK, write: (s, topK) => ({ ...s, topK }) },
  { flag: "min-p", read: (s) => s.minP, write: (s, minP) => ({ ...s, minP }) },
  { flag: "seed", read: (s) => s.seed, write: (s, seed) => ({ ...s, seed }) },
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
  return [...lines, `  ${"think".padEnd(18)}${settings.think}`].join("\n")
}

function isThinkLevel(text: string): text is ThinkLevel {
  return OPTIONS.think.choices.some((level) => level === text)
}

/** Commands that show or change how the next answers are made. */
export const SETTING_COMMANDS: readonly SlashCommand[] = [
  {
    name: "think",
    usage: "low|high|max|off",
    summary: "reasoning before the answer, from the next question on",
    run: (argument, { session, say }) => {
      if (argument !== "" && !isThinkLevel(argument))
        throw usageError(`"${argument}" is not low, high, max or off`)
      const think = isThinkLevel(argument) ? argument : session.settings.think
      session.settings = { ...session.settings, think }
      say(`think: ${think}`)
      return STAY
    },
  },
  {
    name: "reasoning",
    usage: "show|hide",
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
