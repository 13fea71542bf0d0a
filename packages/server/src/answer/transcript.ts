import type { OutputEvent } from "@ds4/chat"
import type { LogprobLists, OutputBatch } from "./output-batch.ts"

interface Call {
  id: string
  name: string
  arguments: string
}

/** The whole answer, gathered from the same events that a stream shows. */
export class Transcript {
  reasoning = ""
  content = ""
  private readonly started: Call[] = []
  private readonly ended = new Set<number>()
  readonly logprobs: LogprobLists = { content: [], reasoning: [] }

  /** Complete calls; one that was cut by a limit is not among them. */
  get calls(): readonly Call[] {
    return this.started.filter((_, index) => this.ended.has(index))
  }

  add(batch: OutputBatch): void {
    for (const event of batch.events) this.addEvent(event)
    if (batch.logprobs === undefined) return
    this.logprobs.content.push(...batch.logprobs.content)
    this.logprobs.reasoning.push(...batch.logprobs.reasoning)
  }

  private addEvent(event: OutputEvent): void {
    switch (event.type) {
      case "reasoning":
        this.reasoning += event.text
        break
      case "text":
        this.content += event.text
        break
      case "tool-call-start":
        this.started[event.index] = { id: event.id, name: event.name, arguments: "" }
        break
      case "tool-call-arguments": {
        const call = this.started[event.index]
        if (call === undefined)
          throw new Error(`arguments of tool call ${event.index} came before its start`)
        call.arguments += event.text
        break
      }
      case "tool-call-end":
        this.ended.add(event.index)
        break
    }
  }
}
