import { describe, expect, test } from "bun:test"
import { frames, IDENTITY, run } from "../../testing/writers.ts"
import { legacyLogprobs, TextStreamWriter } from "./writer.ts"

describe("TextStreamWriter", () => {
  test("echo comes first, offsets count from its end", () => {
    const writer = new TextStreamWriter(IDENTITY, {
      includeUsage: false,
      logprobs: true,
      echo: "in ",
    })
    const text = frames(run(writer, [{ type: "text", text: "out" }])).flatMap((frame) =>
      frame.data === "[DONE]"
        ? []
        : [(frame.data as { choices: [{ text: string }] }).choices[0].text],
    )
    expect(text).toEqual(["in ", "out", ""])
    const top = [{ token: "b", logprob: -2, bytes: [98] }]
    expect(
      legacyLogprobs(
        [
          { token: "ab", logprob: -1, bytes: [], top },
          { token: "c", logprob: -3, bytes: [], top: [] },
        ],
        3,
      ),
    ).toEqual({
      tokens: ["ab", "c"],
      token_logprobs: [-1, -3],
      top_logprobs: [{ b: -2 }, {}],
      text_offset: [3, 5],
    })
  })
})
