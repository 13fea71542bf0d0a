import { OPTIONS, readValue } from "@ds4/options"
import { usageError } from "../../errors.ts"
import { STAY, type SlashCommand } from "./slash-command.ts"

function turnCount(argument: string): number {
  return argument === ""
    ? 1
    : Number(
        readValue(
          "the number of turns",
          { kind: "integer", help: "", commands: [], min: 1, max: 10_000 },
          argument,
        ),
      )
}

/** Commands that change which turns the conversation has. */
export const CONVERSATION_COMMANDS: readonly SlashCommand[] = [
  ...["new", "clear"].map(
    (name): SlashCommand => ({
      name,
      usage: "",
      summary: "start a new conversation with the same system text",
      run: (_, { session, attachments, say }) => {
        session.clear()
        attachments.length = 0
        say("new conversation")
        return STAY
      },
    }),
  ),
  {
    name: "retry",
    usage: "[TEMP]",
    summary: "ask the last question again, at another temperature if given",
    run: (argument, { session }) => {
      const temperature =
        argument === "" ? undefined : Number(readValue("the temperature", OPTIONS.temp, argument))
      const text = session.undo()
      if (text === undefined) throw usageError("there is no question to ask again")
      const { settings } = session
      if (temperature !== undefined)
        session.settings = { ...settings, sampling: { ...settings.sampling, temperature } }
      return { next: "ask", text }
    },
  },
  {
    name: "undo",
    usage: "[N]",
    summary: "take back the last N questions and their answers",
    run: (argument, { session, say }) => {
      if (session.undo(turnCount(argument)) === undefined)
        throw usageError("there is nothing to take back")
      say(`${session.messages.length} messages left`)
      return STAY
    },
  },
  {
    name: "edit",
    usage: "[N]",
    summary: "take back the last N questions and put the earliest into the line",
    run: (argument, { session }) => {
      const text = session.undo(turnCount(argument))
      if (text === undefined) throw usageError("there is no question to edit")
      return { next: "prompt", line: text }
    },
  },
  {
    name: "continue",
    usage: "",
    summary: "go on with an answer that was interrupted or hit the length limit",
    run: (_, { session }) => {
      if (!session.isUnfinished) throw usageError("the last answer is complete")
      return { next: "continue" }
    },
  },
]
