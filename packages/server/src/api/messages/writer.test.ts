import { describe, expect, test } from "bun:test"
import { Transcript } from "../../answer/transcript.ts"
import { frames, OUTCOME, run } from "../../testing/writers.ts"
import { anthropicMessage, MessageStreamWriter } from "./writer.ts"

describe("MessageStreamWriter", () => {
  test("the three input figures sum to the prompt; the end repeats the full usage", () => {
    const all = frames(
      run(new MessageStreamWriter({ id: "msg_1", model: "m" }), [{ type: "text", text: "a" }], {
        ...OUTCOME,
        finish: "stop-string",
        stopString: "END",
      }),
    )
    const usage = { input_tokens: 6, cache_read_input_tokens: 4, cache_creation_input_tokens: 0 }
    expect(all[0]?.data).toMatchObject({ message: { usage } })
    expect(all.at(-2)?.data).toMatchObject({
      delta: { stop_reason: "stop_sequence", stop_sequence: "END" },
      usage: { ...usage, output_tokens: 20 },
    })
    expect(all.every((frame) => frame.event === (frame.data as { type: string }).type)).toBe(true)
  })

  test("arguments that are no object become one field of the input", () => {
    const answer = new Transcript()
    answer.add({
      events: [
        { type: "tool-call-start", index: 0, id: "toolu_1", name: "f" },
        { type: "tool-call-arguments", index: 0, text: "[1" },
        { type: "tool-call-end", index: 0, call: { id: "toolu_1", name: "f", arguments: "[1" } },
      ],
      logprobs: undefined,
    })
    expect(anthropicMessage({ id: "msg_1", model: "m" }, answer, OUTCOME)).toMatchObject({
      content: [{ type: "tool_use", input: { arguments: "[1" } }],
    })
  })
})
