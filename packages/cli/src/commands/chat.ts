import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { formatWhole } from "@ds4/progress"
import { answerSettings, systemText } from "../answer-settings.ts"
import type { BackendDescription } from "../backend/backend.ts"
import { openBackend } from "../backend/open-backend.ts"
import { ChatSession } from "../chat/chat-session.ts"
import { completeLine } from "../chat/complete-line.ts"
import { ConversationStore } from "../chat/conversation-store.ts"
import { runLines } from "../chat/line-loop.ts"
import { Repl, type ReplOptions } from "../chat/repl.ts"
import { defineCommand } from "../command.ts"
import { stateFolder } from "../state-folder.ts"
import { EXIT, type ExitCode } from "../errors.ts"
import { allowsColour, dim, type Io } from "../io.ts"
import { History } from "../terminal/history.ts"
import { LineEditor } from "../terminal/line-editor.ts"
import { RawTerminal } from "../terminal/raw-terminal.ts"

function greeting({ model, where, contextTokens }: BackendDescription): string {
  const context =
    contextTokens === undefined ? "" : `, context ${formatWhole(contextTokens)} tokens`
  return `${model}, ${where}${context}. /help lists the commands, Ctrl+D leaves.`
}

/** Opens a text in $VISUAL or $EDITOR and returns what was saved. */
function editExternally(io: Io, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "ds4-edit-"))
  try {
    const path = join(folder, "message.md")
    writeFileSync(path, text, { mode: 0o600 })
    const editor = io.environment.VISUAL ?? io.environment.EDITOR ?? "vi"
    Bun.spawnSync(["sh", "-c", `${editor} "$1"`, "sh", path], {
      stdio: ["inherit", "inherit", "inherit"],
    })
    return readFileSync(path, "utf8").replace(/\n$/, "")
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export const chat = defineCommand({
  name: "chat",
  usage: "[FLAGS]",
  summary: "talks to a model in the terminal",
  details:
    "Lines that begin with a slash are commands; /help lists them. Without a terminal every " +
    "line of input is one turn.",
  examples: [
    "ds4 chat",
    "ds4 chat -m deepseek-v4-flash.gguf --think",
    "ds4 chat --url http://127.0.0.1:8000",
  ],
  maxPositionals: 0,
  run: async ({ flags, io, prepareNative }) => {
    const terminal = io.isInputTerminal && io.isErrorTerminal ? openTerminal() : undefined
    try {
      const backend = await openBackend(flags, io, prepareNative)
      try {
        const session = new ChatSession(systemText(flags), answerSettings(flags))
        const store = new ConversationStore(join(stateFolder(io.environment), "chats"))
        const shown = {
          io,
          session,
          backend,
          store,
          showsReasoning: !flags["hide-reasoning"],
          showsStats: !flags.quiet,
        }
        if (terminal === undefined) return await runLines(shown)
        const drawn = { ...io, err: io.draw }
        if (!flags.quiet) drawn.err(`${dim(io, greeting(backend.description))}\n`)
        return await runInteractive({
          ...shown,
          io: drawn,
          showsProgress: !flags.quiet,
          terminal,
          isRendered: allowsColour(io, io.isOutputTerminal) && !flags.plain,
        })
      } finally {
        await backend.close()
      }
    } finally {
      terminal?.close()
    }
  },
})

/**
 * Takes the terminal over before the model loads: what is typed meanwhile waits for the prompt,
 * Ctrl+C still leaves.
 */
function openTerminal(): RawTerminal {
  const terminal = new RawTerminal()
  terminal.open()
  terminal.listen((key) => {
    if (key.type === "key" && key.name === "ctrl-c") process.exit(EXIT.interrupted)
    terminal.postpone(key)
  })
  return terminal
}

/** The prompt with its history, redrawn when the window changes. */
async function runInteractive(shown: Omit<ReplOptions, "editor">): Promise<ExitCode> {
  const { io, terminal } = shown
  const screen = { write: io.err, columns: io.columns, rows: () => process.stdout.rows || 24 }
  const history = new History(join(stateFolder(io.environment), "history"))
  const editor = new LineEditor({
    terminal,
    history,
    screen,
    editExternally: (text) => editExternally(io, text),
    complete: (text) => completeLine(text, shown.store),
  })
  const onResize = () => editor.redraw()
  process.stdout.on("resize", onResize)
  try {
    return await new Repl({ ...shown, editor }).run()
  } finally {
    process.stdout.off("resize", onResize)
  }
}
