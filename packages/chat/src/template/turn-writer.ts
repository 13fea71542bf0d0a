// Writes the parts that both profiles share: assistant turns, reasoning, tools, generation prompt.
import {
  ASSISTANT,
  EOS,
  THINK_CLOSE,
  THINK_OPEN,
  USER,
  taskToken,
  type Task,
} from "@ds4/tokenizer/special-tokens"
import type { AssistantMessage, ToolDeclaration } from "./conversation.ts"
import { toolResultText, writeCalls } from "./dsml-render.ts"
import type { RenderOptions } from "./render-options.ts"
import type { SegmentWriter } from "./segment-writer.ts"
import { type Profile, TOOLS_BLOCK, toolSchemaLine } from "./tools-block.ts"

export class TurnWriter {
  constructor(
    readonly out: SegmentWriter,
    readonly profile: Profile,
    readonly options: RenderOptions,
  ) {}

  toolsBlock(tools: readonly ToolDeclaration[]): void {
    const { before, after } = TOOLS_BLOCK[this.profile]
    this.out.control(before)
    tools.forEach((tool, index) =>
      this.out.control(index > 0 ? "\n" : "").plain(toolSchemaLine(tool, this.profile)),
    )
    this.out.control(after)
  }

  userMarker(): void {
    this.out.control(USER)
  }

  toolResult(content: string): void {
    this.out.control("<tool_result>").plain(toolResultText(content)).control("</tool_result>")
  }

  assistantMarker(): void {
    this.out.control(ASSISTANT)
  }

  /** Reasoning with its tags; undefined: nothing is shown, the part is closed at once. */
  thinkingPart(reasoning: string | undefined, message: AssistantMessage, isOpen: boolean): void {
    if (reasoning !== undefined) this.out.control(THINK_OPEN).plain(reasoning)
    if (reasoning !== undefined && isOpen && message.content === "") return
    this.out.control(THINK_CLOSE)
  }

  /** Content, calls and end of an assistant turn; an open one has no end. */
  assistantBody(message: AssistantMessage, isOpen: boolean): void {
    this.out.plain(message.content)
    if (message.toolCalls !== undefined && message.toolCalls.length > 0)
      this.calls(message.toolCalls)
    if (!isOpen) this.out.control(EOS)
  }

  private calls(calls: NonNullable<AssistantMessage["toolCalls"]>): void {
    const hit = this.options.replay?.lookup(calls)
    this.options.onToolTurn?.(hit?.origin ?? "canonical")
    if (hit === undefined) writeCalls(this.out, calls, this.profile)
    else for (const segment of hit.segments) this.out.verbatim(segment)
  }

  /** Ends a turn in place of a generation prompt. An action is decided in a turn of its own. */
  task(task: Task): void {
    if (task === "action") this.openTurn()
    this.out.control(taskToken(task))
  }

  generationPrompt(): void {
    if (this.options.addGenerationPrompt !== false) this.openTurn()
  }

  private openTurn(): void {
    this.out.control(ASSISTANT + (this.options.thinking ? THINK_OPEN : THINK_CLOSE))
  }
}
