// The interactive loop: prompt, slash commands, turns. Knows a terminal, a session and a backend,
// nothing below.
import type { FinishReason } from "@ds4/chat"
import type { Backend } from "../backend/backend.ts"
import { messageOf, exitCodeOf, EXIT, type ExitCode } from "../errors.ts"
import { dim, type Io } from "../io.ts"
import type { LineEditor } from "../terminal/line-editor.ts"
import type { Key } from "../terminal/keys.ts"
import type { RawTerminal } from "../terminal/raw-terminal.ts"
import { AnswerView } from "./answer-view.ts"
import { attachMentions } from "./attach-file.ts"
import type { ChatSession } from "./chat-session.ts"
import type { ConversationStore } from "./conversation-store.ts"
import { runTurn, type PartialAnswer, type TurnResult } from "./run-turn.ts"
import { runSlash } from "./slash/dispatch.ts"
import type { SlashContext, SlashResult } from "./slash/slash-command.ts"

export interface ReplOptions {
  readonly io: Io
  readonly session: ChatSession
  readonly backend: Backend
  readonly store: ConversationStore
  readonly editor: LineEditor
  readonly terminal: RawTerminal
  readonly isRendered: boolean
  readonly showsReasoning: boolean
  readonly showsStats: boolean
  readonly showsProgress: boolean
}

const PROMPT = "> "
const STOP_WAIT_MS = 5000 // a second Ctrl+C after this long leaves without waiting for the engine

/** A line under an answer that did not end by itself. */
const REMARKS: Readonly<Partial<Record<FinishReason, string>>> = {
  cancelled: "[interrupted; /continue goes on]",
  length: "[token limit; /continue goes on]",
  context: "[the context is full; /undo or /new makes room]",
}

interface TurnContext {
  readonly from: PartialAnswer | undefined
  /** Text that goes back into the line when the turn is interrupted before any output. */
  readonly typed: string
  readonly view: AnswerView
}

export class Repl {
  private readonly attachments: string[] = []
  private readonly display: { showsReasoning: boolean }

  constructor(private readonly options: ReplOptions) {
    this.display = { showsReasoning: options.showsReasoning }
  }

  /** Runs until the person leaves. */
  async run(): Promise<ExitCode> {
    let initial = ""
    let wasInterrupted = false
    for (;;) {
      const read = await this.options.editor.read(PROMPT, initial)
      initial = ""
      if (read.type === "end") return EXIT.done
      if (read.type === "interrupt") {
        if (wasInterrupted) return EXIT.done
        wasInterrupted = true
        this.say("Ctrl+C again leaves")
        continue
      }
      wasInterrupted = false
      if (read.text.trim() === "") continue
      const result = await this.take(read.text)
      if (result.next === "quit") return EXIT.done
      if (result.next === "prompt") initial = result.line ?? ""
    }
  }

  /** Acts on one line; errors are shown and the chat goes on. */
  private async take(line: string): Promise<SlashResult> {
    const attached = [...this.attachments]
    const keepAttached = () => {
      if (this.attachments.length === 0) this.attachments.push(...attached)
    }
    try {
      const isCommand = line.startsWith("/") && !line.startsWith("//")
      let result: SlashResult = isCommand
        ? await runSlash(line, this.context())
        : {
            next: "ask",
            text: this.withAttachments(
              attachMentions(line.startsWith("//") ? line.slice(1) : line),
            ),
          }
      if (result.next === "ask") {
        result = await this.ask(result.text, line)
        // the question was taken back
        if (result.next === "prompt" && result.line !== undefined) keepAttached()
      } else if (result.next === "continue")
        result = await this.turn(this.options.session.takeUnfinished(), "")
      return result
    } catch (error) {
      if (exitCodeOf(error) === EXIT.unreachable || exitCodeOf(error) === EXIT.failed)
        this.options.session.isUnfinished = false
      this.options.io.err(`${messageOf(error)}\n`)
      keepAttached()
      return { next: "prompt" }
    }
  }

  private async ask(text: string, typed: string): Promise<SlashResult> {
    this.options.session.ask(text)
    try {
      return await this.turn(undefined, typed.startsWith("/") ? text : typed)
    } catch (error) {
      this.options.session.undo() // an unanswered question would stand before the next one
      throw error
    }
  }

  /** One answer. `typed` goes back into the line when it is interrupted before any output. */
  private async turn(from: PartialAnswer | undefined, typed: string): Promise<SlashResult> {
    const { session, backend } = this.options
    const view = new AnswerView({
      ...this.options,
      ...this.display,
      rows: () => process.stdout.rows || 24,
    })
    const abort = new AbortController()
    const stopListening = this.listenWhileAnswering(abort, view)
    try {
      const question = { type: "conversation", conversation: session.conversation() } as const
      const result = await runTurn(
        backend,
        {
          question,
          settings: session.settings,
          signal: abort.signal,
          ...(from === undefined ? {} : { from }),
        },
        view,
      )
      return this.keep(result, { from, typed, view })
    } catch (error) {
      if (from !== undefined) session.keepAnswer(from, true)
      throw error
    } finally {
      stopListening()
    }
  }

  /** Keeps the answer of a turn in the session and says how it ended. */
  private keep(result: TurnResult, { from, typed, view }: TurnContext): SlashResult {
    const { session, io } = this.options
    if (result.usage !== undefined) session.count(result.usage)
    if (result.isEmpty && result.finish === "cancelled") {
      view.end(undefined)
      if (from !== undefined) session.keepAnswer(from, true)
      else session.undo()
      const said =
        from === undefined
          ? "stopped; nothing was said, the question is back in the line"
          : "stopped"
      io.err(`${dim(io, said)}\n`)
      return from === undefined ? { next: "prompt", line: typed } : { next: "prompt" }
    }
    session.keepAnswer(result.answer, result.finish === "cancelled" || result.finish === "length")
    const remark = REMARKS[result.finish]
    if (remark !== undefined) view.remark(remark)
    view.end(result.usage)
    return { next: "prompt" }
  }

  /** Ctrl+C stops, Ctrl+T folds reasoning; whatever else is typed waits for the prompt. */
  private listenWhileAnswering(abort: AbortController, view: AnswerView): () => void {
    const { terminal } = this.options
    let stopMs = 0
    terminal.onResume = () => {}
    terminal.listen((key: Key) => {
      const name = key.type === "key" ? key.name : ""
      if (name === "ctrl-c") {
        if (abort.signal.aborted && performance.now() - stopMs > STOP_WAIT_MS)
          process.exit(EXIT.interrupted)
        if (!abort.signal.aborted) stopMs = performance.now()
        abort.abort()
      } else if (name === "ctrl-t") {
        this.display.showsReasoning = !this.display.showsReasoning
        view.showsReasoning = this.display.showsReasoning
      } else if (name === "ctrl-z") terminal.stop()
      else terminal.postpone(key)
    })
    return () => terminal.listen(undefined)
  }

  private withAttachments(text: string): string {
    const all = this.attachments.splice(0)
    return all.length === 0 ? text : `${all.join("\n")}\n${text}`
  }

  private context(): SlashContext {
    const { session, backend, store, io } = this.options
    return {
      session,
      backend,
      store,
      io,
      attachments: this.attachments,
      display: this.display,
      confirm: (question) => this.confirm(question),
      say: (text) => this.say(text),
    }
  }

  private async confirm(question: string): Promise<boolean> {
    const answer = await this.options.editor.read(`${question} [y/N] `, "", false)
    return answer.type === "line" && /^\s*y(es)?\s*$/i.test(answer.text)
  }

  private say(text: string): void {
    this.options.io.err(`${text}\n`)
  }
}
