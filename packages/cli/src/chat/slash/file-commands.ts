import { outputTarget, writeTextOutput } from "@ds4/model-file"
import { usageError } from "../../errors.ts"
import { attachFile } from "../attach-file.ts"
import { STAY, type SlashCommand, type SlashContext } from "./slash-command.ts"

function markdown({ session }: SlashContext): string {
  const heading: Readonly<Record<string, string>> = {
    user: "Question",
    assistant: "Answer",
    system: "System",
  }
  return session
    .conversation()
    .messages.map(({ role, content }) => `## ${heading[role] ?? role}\n\n${content}\n`)
    .join("\n")
}

/** Writes the conversation; false when a file that exists shall stay. */
async function exportTo(path: string, context: SlashContext): Promise<boolean> {
  const isJson = path.endsWith(".json")
  if (!isJson && !path.endsWith(".md")) throw usageError("say /export FILE.md or /export FILE.json")
  const text = isJson
    ? `${JSON.stringify(context.session.conversation(), undefined, 2)}\n`
    : markdown(context)
  const target = outputTarget(path, true)
  const exists = target.kind === "file" && target.exists
  if (exists && !(await context.confirm(`${path} exists already; overwrite it?`))) return false
  await writeTextOutput(path, text, { overwrite: exists })
  return true
}

const savedNames = ({ store }: Pick<SlashContext, "store">): string[] =>
  store.list().map(({ name }) => name)

/** Commands that read and write files and saved conversations. */
export const FILE_COMMANDS: readonly SlashCommand[] = [
  {
    name: "read",
    usage: "FILE…",
    takes: "paths",
    summary: "attach files to the next question (@path in a line does the same)",
    run: async (argument, context) => {
      const paths = argument.split(/\s+/).filter(Boolean)
      if (paths.length === 0) throw usageError("say /read FILE")
      for (const path of paths) {
        const attached = attachFile(path)
        context.attachments.push(attached)
        const messages = [{ role: "user", content: attached } as const]
        const prompt = await context.backend.prompt({ messages }, "off")
        context.say(
          `attached ${path}${prompt === undefined ? "" : `, ${prompt.ids.length} tokens`}`,
        )
      }
      return STAY
    },
  },
  {
    name: "save",
    usage: "[NAME]",
    takes: savedNames,
    summary: "save the conversation",
    run: async (argument, { session, backend, store, say }) => {
      const name =
        argument === ""
          ? `chat-${new Date().toISOString().slice(0, 19).replaceAll(/[:T]/g, "-")}`
          : argument
      const { messages, system, isUnfinished } = session
      const { model } = backend.description
      const saved = { version: 1, model, system, messages, isUnfinished } as const
      say(`saved ${await store.save(name, saved)}`)
      return STAY
    },
  },
  {
    name: "load",
    usage: "NAME",
    takes: savedNames,
    summary: "go on with a saved conversation",
    run: (argument, { session, store, say }) => {
      const saved = store.load(argument)
      session.messages = [...saved.messages]
      session.system = saved.system
      session.isUnfinished = saved.isUnfinished
      say(`${saved.messages.length} messages`)
      return STAY
    },
  },
  {
    name: "list",
    usage: "",
    summary: "saved conversations",
    run: (_, { store, say }) => {
      const entries = store.list()
      say(
        entries.length === 0
          ? "nothing saved"
          : entries
              .map(
                ({ name, savedAt }) =>
                  `  ${savedAt.toISOString().slice(0, 16).replace("T", " ")}  ${name}`,
              )
              .join("\n"),
      )
      return STAY
    },
  },
  {
    name: "rm",
    usage: "NAME",
    takes: savedNames,
    summary: "delete a saved conversation",
    run: (argument, { store, say }) => {
      store.remove(argument)
      say(`removed ${argument}`)
      return STAY
    },
  },
  {
    name: "export",
    usage: "FILE.md|FILE.json",
    takes: "paths",
    summary: "write the conversation to a file",
    run: async (argument, context) => {
      const isWritten = await exportTo(argument, context)
      context.say(
        isWritten ? `wrote ${argument}` : `${argument} stays as it was; /export to another name`,
      )
      return STAY
    },
  },
]
