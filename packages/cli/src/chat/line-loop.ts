import type { Backend } from "../backend/backend.ts"
import { EXIT, type ExitCode } from "../errors.ts"
import type { Io } from "../io.ts"
import { AnswerView } from "./answer-view.ts"
import type { ChatSession } from "./chat-session.ts"
import type { ConversationStore } from "./conversation-store.ts"
import { runTurn } from "./run-turn.ts"
import { runSlash } from "./slash/dispatch.ts"

interface LineLoopOptions {
  readonly io: Io
  readonly session: ChatSession
  readonly backend: Backend
  readonly store: ConversationStore
  readonly showsReasoning: boolean
  readonly showsStats: boolean
}

/**
 * Chat without a terminal: every line of input is one turn or one slash command. The
 * first error ends it.
 */
export async function runLines(options: LineLoopOptions): Promise<ExitCode> {
  const { io, session, backend, store } = options
  const display = { showsReasoning: options.showsReasoning }
  const attachments: string[] = []
  for (const line of (await io.readInput()).split("\n")) {
    if (line.trim() === "") continue
    let text = line.startsWith("//") ? line.slice(1) : line
    if (line.startsWith("/") && !line.startsWith("//")) {
      const say = (said: string) => io.err(`${said}\n`)
      const result = await runSlash(line, {
        session,
        backend,
        store,
        io,
        attachments,
        display,
        confirm: () => Promise.resolve(false),
        say,
      })
      if (result.next === "quit") return EXIT.done
      if (result.next !== "ask") continue
      text = result.text
    }
    session.ask([...attachments.splice(0), text].join("\n"))
    const view = new AnswerView({
      ...options,
      ...display,
      showsProgress: true,
      isRendered: false,
      rows: () => 24,
    })
    const question = { type: "conversation", conversation: session.conversation() } as const
    const turn = await runTurn(backend, { question, settings: session.settings }, view)
    session.keepAnswer(turn.answer, turn.finish === "length")
    if (turn.usage !== undefined) session.count(turn.usage)
    view.end(turn.usage)
  }
  return EXIT.done
}
