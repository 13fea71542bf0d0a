import { describe, expect, test } from "bun:test"
import { frames, lastData, OUTCOME, run } from "../../testing/writers.ts"
import { ResponseStreamWriter } from "./writer.ts"

describe("ResponseStreamWriter", () => {
  const identity = (showSummary: boolean, includeEncrypted: boolean) => ({
    id: "resp_1",
    created: 7,
    model: "m",
    echo: { store: false },
    reasoning: { showSummary, includeEncrypted },
    tools: new Map([
      ["ns.patch", { kind: "custom" as const, name: "patch", namespace: "ns" }],
      ["ns.list", { kind: "function" as const, name: "list", namespace: "ns" }],
    ]),
  })

  test("hidden reasoning makes no item; encrypted reasoning makes one without a summary", () => {
    const events = [
      { type: "reasoning" as const, text: "secret" },
      { type: "text" as const, text: "a" },
    ]
    expect(run(new ResponseStreamWriter(identity(false, false)), events)).not.toContain(
      "reasoning_summary",
    )
    const last = lastData<{
      response: { output: { encrypted_content?: string; summary?: unknown[] }[] }
    }>(frames(run(new ResponseStreamWriter(identity(false, true)), events)))
    expect(Buffer.from(last.response.output[0]?.encrypted_content ?? "", "base64").toString()).toBe(
      "secret",
    )
    expect(last.response.output[0]?.summary).toEqual([])
  })

  test("custom and namespaced tools are shown as they were declared", () => {
    const all = frames(
      run(
        new ResponseStreamWriter(identity(false, false)),
        [
          { type: "tool-call-start", index: 0, id: "call_1", name: "ns.patch" },
          { type: "tool-call-arguments", index: 0, text: '{"input":"' },
          { type: "tool-call-arguments", index: 0, text: 'a\\n"'.slice(0, 3) },
          { type: "tool-call-arguments", index: 0, text: 'b"}' },
          {
            type: "tool-call-end",
            index: 0,
            call: { id: "call_1", name: "ns.patch", arguments: '{"input":"a\\nb"}' },
          },
          { type: "tool-call-start", index: 1, id: "call_2", name: "ns.list" },
          { type: "tool-call-arguments", index: 1, text: "{}" },
          {
            type: "tool-call-end",
            index: 1,
            call: { id: "call_2", name: "ns.list", arguments: "{}" },
          },
        ],
        { ...OUTCOME, finish: "tool-calls" },
      ),
    )
    const output = lastData<{ response: { output: unknown[] } }>(all).response.output
    expect(output).toMatchObject([
      {
        type: "custom_tool_call",
        call_id: "call_1",
        name: "patch",
        namespace: "ns",
        input: "a\nb",
        status: "completed",
      },
      {
        type: "function_call",
        call_id: "call_2",
        name: "list",
        namespace: "ns",
        arguments: "{}",
        status: "completed",
      },
    ])
    const numbers = all.map((frame) => (frame.data as { sequence_number: number }).sequence_number)
    expect(numbers).toEqual(numbers.map((_, index) => index))
  })

  test("a failure closes the open item and ends with response.failed", () => {
    const writer = new ResponseStreamWriter(identity(false, false))
    const text =
      writer.open({ promptTokens: 1, cachedTokens: 0 }) +
      writer.write({ events: [{ type: "text", text: "a" }], logprobs: undefined }) +
      writer.fail("boom")
    const all = frames(text)
    expect(all.at(-1)).toMatchObject({
      event: "response.failed",
      data: {
        response: {
          status: "failed",
          error: { code: "server_error", message: "boom" },
          output: [{ status: "incomplete" }],
        },
      },
    })
  })
})
