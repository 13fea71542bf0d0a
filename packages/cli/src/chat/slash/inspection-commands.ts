import type { PromptView } from "../../backend/backend.ts"
import { usageError } from "../../errors.ts"
import { rate } from "../stats-line.ts"
import { STAY, type SlashCommand, type SlashContext } from "./slash-command.ts"

async function promptOf({ backend, session }: SlashContext): Promise<PromptView> {
  const prompt = await backend.prompt(session.conversation(), session.settings.thinking)
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
            `  written  ${totals.completionTokens} tokens, ` +
              `${perSecond(totals.completionTokens, totals.decodeMs)}`,
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
    run: async (_, context) => {
      context.say(`${(await promptOf(context)).ids.length} tokens`)
      return STAY
    },
  },
  {
    name: "prompt",
    usage: "",
    summary: "the text the model would read next",
    run: async (_, context) => {
      context.say((await promptOf(context)).text)
      return STAY
    },
  },
]
