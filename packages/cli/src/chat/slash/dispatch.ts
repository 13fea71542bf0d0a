import { nearestName } from "@ds4/options"
import { usageError } from "../../errors.ts"
import { CONVERSATION_COMMANDS } from "./conversation-commands.ts"
import { FILE_COMMANDS } from "./file-commands.ts"
import { INSPECTION_COMMANDS } from "./inspection-commands.ts"
import { SETTING_COMMANDS } from "./setting-commands.ts"
import { STAY, type SlashCommand, type SlashContext, type SlashResult } from "./slash-command.ts"

function overview(): string {
  const lines = SLASH_COMMANDS.map(
    ({ name, usage, summary }) => `  ${`/${name} ${usage}`.padEnd(28)} ${summary}`,
  )
  return [
    ...lines,
    "  //TEXT                       send a line that begins with a slash",
    'Enter sends; Alt+Enter, Ctrl+J or a trailing \\ adds a line; """ opens and closes a block.',
    "Ctrl+C stops an answer; twice at the prompt leaves. Ctrl+R searches the history, Ctrl+X " +
      "Ctrl+E opens $EDITOR,",
    "Ctrl+T hides or shows reasoning while it arrives. Tab completes commands and files.",
  ].join("\n")
}

/** Every command of the chat. */
export const SLASH_COMMANDS: readonly SlashCommand[] = [
  {
    name: "help",
    usage: "[COMMAND]",
    summary: "this text",
    takes: () => SLASH_COMMANDS.map(({ name }) => name),
    run: (argument, { say }) => {
      const command = argument === "" ? undefined : find(argument.replace(/^\//, ""))
      say(
        command === undefined
          ? overview()
          : `/${command.name} ${command.usage}\n  ${command.summary}`,
      )
      return STAY
    },
  },
  ...CONVERSATION_COMMANDS,
  ...SETTING_COMMANDS,
  ...FILE_COMMANDS,
  ...INSPECTION_COMMANDS,
  ...["quit", "exit"].map(
    (name): SlashCommand => ({ name, usage: "", summary: "leave", run: () => ({ next: "quit" }) }),
  ),
]

function find(name: string): SlashCommand {
  const command = SLASH_COMMANDS.find((each) => each.name === name)
  if (command !== undefined) return command
  const nearest = nearestName(
    name,
    SLASH_COMMANDS.map((each) => each.name),
  )
  throw usageError(
    `there is no command /${name}${nearest === undefined ? "" : `; did you mean /${nearest}?`} ` +
      `(/help lists all)`,
  )
}

/** Runs one slash line. A mistake in it throws a usage error; nothing is sent to the model. */
export async function runSlash(line: string, context: SlashContext): Promise<SlashResult> {
  const [, name = "", argument = ""] = /^\/(\S*)\s*([\s\S]*)$/.exec(line) ?? []
  return await find(name).run(argument.trim(), context)
}
