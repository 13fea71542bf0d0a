// The parser and the native zone tracker read one syntax. Greedy zones and the end of generation
// must be where the parser reads a call, at every prefix of an answer.
import { describe, expect, test } from "bun:test"
import { trackZones } from "@ds4/engine/testing/zones"
import { Random } from "@ds4/model-file/testing"
import { OutputParser } from "./output-parser.ts"

const TOOLS = ["find", "list"]
const MARKERS = ["｜DSML｜", "DSML｜", ""]
const GREEDY = ["structural", "json_structural"]

/** Prefixes of a text at its characters, with what the tracker says of each. */
function tracked(text: string) {
  const characters = Array.from(text)
  const zones = trackZones(
    characters.map((character) => new TextEncoder().encode(character)),
    TOOLS,
  )
  let prefix = ""
  return characters.map((character, index) => {
    prefix += character
    const { zone = "outside", isClosed = false } = zones[index] ?? {}
    return { prefix, zone, isClosed, isGreedy: GREEDY.includes(zone) }
  })
}

function parse(text: string) {
  const parser = new OutputParser({ thinking: false, tools: TOOLS.map((name) => ({ name })) })
  parser.push(text)
  return parser
}

/** Endings of a block, from every place in it. */
function endings(marker: string): string[] {
  const [open, close] = [`<${marker}`, `</${marker}`]
  const block = `${close}tool_calls>`
  const call = `${close}invoke>\n${block}`
  const value = `${close}parameter>\n${call}`
  const parameters = ["true", "false"].map((is) => `${open}parameter name="p" string="${is}">1`)
  return [
    ...TOOLS.map((name) => `${open}invoke name="${name}">\n${call}`),
    ...parameters.map((parameter) => `${parameter}${value}`),
    `${open}parameter name="p">1${value}`,
    value,
    call,
    block,
  ]
}
const ENDINGS = MARKERS.flatMap(endings)

/** Whether the prefix can go on as trained so that a call is read where it ends now. */
function canBecomeCall(prefix: string): boolean {
  return ENDINGS.some((ending) => {
    for (let shared = 0; shared < ending.length; shared++) {
      if (!prefix.endsWith(ending.slice(0, shared))) continue
      const parser = parse(prefix + ending.slice(shared))
      if (parser.isDone && parser.result.calls.length > 0) return true
    }
    return false
  })
}

const PIECES = [
  ...MARKERS.flatMap((marker) => [
    `<${marker}tool_calls>`,
    `\n<${marker}tool_calls>\n`,
    `</${marker}tool_calls>`,
    `<${marker}invoke name="find">\n`,
    `<${marker}invoke name="list">`,
    `<${marker}invoke name="other">\n`,
    `<${marker}invoke name="`,
    `</${marker}invoke>\n`,
    `<${marker}parameter name="p" string="true">`,
    `<${marker}parameter name="p" string="false">`,
    `<${marker}parameter name="p">`,
    `</${marker}parameter>\n`,
    `<${marker}`,
    `</${marker}`,
  ]),
  "<|DSML|invoke name='find'>",
  "<｜DSML｜function_calls>\n",
  "｜DSML｜",
  "words and more ",
  "Hmm.\n",
  "\n",
  "\n\n",
  " ",
  "`",
  "```\n",
  "\n```js\n",
  "~~~\n",
  "[1, 2",
  '{"a": "b"}',
  '"',
  "“f”",
  ">",
  "<b>",
  "</b>",
  "</",
  "1.5",
  "ä🙂",
]

type Kind = "syntax" | "string" | "json"

/** Pieces of a block as trained, with calls of declared tools. */
function trainedBlock(random: Random): [text: string, kind: Kind][] {
  const marker = random.pick(MARKERS)
  const parameter = (): [string, Kind][] => {
    const [kind, value] = random.pick([
      ["string", "plain text\nof <b>two</b> lines & ```more```"],
      ["string", ""],
      ["json", '{"a": [1, -2.5e3, true, null], "b": "</x> \\" y"}'],
      ["json", "3"],
    ] as const)
    // A zone is that of the next byte: the value's from its tag's bracket to that of the next tag.
    return [
      [`<${marker}parameter name="p" string="${kind === "string"}"`, "syntax"],
      [`>${value}<`, kind],
      [`/${marker}parameter>\n`, "syntax"],
    ]
  }
  const call = (): [string, Kind][] => [
    [`<${marker}invoke name="${random.pick(TOOLS)}">\n`, "syntax"],
    ...Array.from({ length: random.below(3) }, parameter).flat(),
    [`</${marker}invoke>\n`, "syntax"],
  ]
  return [
    [`<${marker}tool_calls>\n`, "syntax"],
    ...Array.from({ length: 1 + random.below(3) }, call).flat(),
    [`</${marker}tool_calls>`, "syntax"],
  ]
}
const textOf = (pieces: readonly [string, Kind][]): string => pieces.map(([text]) => text).join("")

const ZONES_OF: Readonly<Record<Kind, readonly string[]>> = {
  syntax: ["structural"],
  string: ["string_body"],
  json: ["json_structural", "json_string"],
}

describe("the parser and the zone tracker agree", () => {
  test("at every prefix of a block as trained, and where it ends generation", () => {
    const random = new Random(41)
    for (let round = 0; round < 60; round++) {
      const before = random.pick([
        "\n",
        "Let me see.\n\n",
        "A list:\n- `a`\n",
        "```js\nlet a\n```\n",
      ])
      const block = trainedBlock(random)
      const kinds = block.flatMap(([text, kind]) => Array.from(text, () => kind))
      const opener = textOf(block).indexOf(">")
      const parser = parse("")
      for (const { prefix, zone, isClosed } of tracked(before + textOf(block))) {
        parser.push(Array.from(prefix).at(-1) ?? "")
        const { isDone, part } = parser
        const at = Array.from(prefix).length - Array.from(before).length - 1
        const label = { prefix, zone, part }
        expect({ ...label, isClosed }).toEqual({ ...label, isClosed: isDone })
        const isInside = at >= opener && !isDone
        expect({ ...label, isInside: zone !== "outside" }).toEqual({ ...label, isInside })
        // Until the next tag has come the parser holds the opening one back.
        expect({ ...label, isCall: part === "call" && !isInside }).toEqual({
          ...label,
          isCall: false,
        })
        const kind = kinds[at]
        const mayClose = kind === "string" && /<\/[^>]*$/.test(prefix)
        if (!isInside || kind === undefined || mayClose) continue
        expect({ ...label, kind: ZONES_OF[kind].includes(zone) }).toEqual({ ...label, kind: true })
      }
    }
  })

  test("a greedy zone can become a call, at every prefix of random output", () => {
    const random = new Random(42)
    let greedy = 0
    for (let round = 0; round < 400; round++) {
      const pieces = Array.from({ length: 2 + random.below(9) }, () => random.pick(PIECES))
      const text =
        random.below(3) === 0
          ? textOf(trainedBlock(random)).slice(0, random.below(200)).toWellFormed() +
            pieces.join("")
          : pieces.join("")
      for (const { prefix, zone, isGreedy, isClosed } of tracked(text)) {
        if (isClosed) {
          expect({ prefix, isDone: parse(prefix).isDone }).toEqual({ prefix, isDone: true })
          break
        }
        if (!isGreedy) continue
        greedy++
        const isCall = canBecomeCall(prefix)
        expect({ prefix, zone, isCall }).toEqual({ prefix, zone, isCall: true })
      }
    }
    expect(greedy).toBeGreaterThan(1000)
  })

  test("text that the parser has given out is in no zone", () => {
    const random = new Random(43)
    for (let round = 0; round < 400; round++) {
      const opener = `\n<${random.pick(MARKERS)}tool_calls>\n`
      const text =
        `${opener}${random.pick(PIECES)}${random.pick(PIECES)}And so it goes on. `.repeat(2)
      const parser = parse(text)
      if (parser.part === "text" && !parser.isDone)
        expect({ text, zone: tracked(text).at(-1)?.zone }).toEqual({ text, zone: "outside" })
    }
  })
})
