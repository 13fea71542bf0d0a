import { usageError } from "../../errors.ts"
import { rate } from "../stats-line.ts"
import { STAY, type SlashCommand, type SlashContext } from "./slash-command.ts"

function promptOf({ backend, session }: SlashContext) {
  const prompt = backend.prompt(session.conversation(), session.settings.think)
  if (prompt === undefined)
    throw usageError("only a local engine knows the prompt; this chat talks to a server")
  return prompt
}

function perSecond(tokens: number, milliseconds: number): string {
  const value = rate(tokens, milliseconds)
  return value === undefined ? "-" : `${value.toFixed(1)} t/s`
}

/** Commands that show what goes on; nothing changes. */
export const INSPECTION_COMMANDS: readonly SlashCommand[] = [
  ...["stats", "status"].map(
    (name): SlashCommand => ({
      name,
      usage: "",
      summary: "model, tokens, cache and rates so far",
      run: (_, { backend, session, say }) => {
        const { totals } = session
        const { model, where, contextTokens } = backend.description
        say(
          [
            `  model    ${model}, ${where}`,
            `  context  ` +
              `${contextTokens === undefined ? "set by the server" : `${contextTokens} tokens`}`,
            `  turns    ${totals.turns}, ${session.messages.length} messages`,
            `  read     ${totals.promptTokens} tokens, ${totals.cachedTokens} of them cached, ` +
              `${perSecond(totals.promptTokens - totals.cachedTokens, totals.prefillMs)}`,
            `  written  ${totals.generatedTokens} tokens, ` +
              `${perSecond(totals.generatedTokens, totals.decodeMs)}`,
          ].join("\n"),
        )
        return STAY
      },
    }),
  ),
  {
    name: "tokens",
    usage: "",
    summary: "tokens of the conversation as the model reads it",
    run: (_, context) => {
      context.say(`${promptOf(context).ids.length} tokens`)
      return STAY
    },
  },
  {
    name: "prompt",
    usage: "",
    summary: "the text the model would read next",
    run: (_, context) => {
      context.say(promptOf(context).text)
      return STAY
    },
  },
]
