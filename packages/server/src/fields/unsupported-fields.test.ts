import { describe, expect, test } from "bun:test"
import { MESSAGES_FIELDS } from "../api/messages/schema.ts"
import { CHAT_FIELDS } from "../api/chat-completions/schema.ts"
import { COMPLETION_FIELDS } from "../api/completions/schema.ts"
import { RESPONSES_FIELDS } from "../api/responses/schema.ts"
import { harness } from "../testing/harness.ts"
import { UNSUPPORTED_FIELDS } from "./unsupported-fields.ts"

const server = harness()
const BODY = {
  messages: [{ role: "user", content: "hi" }],
  input: "hi",
  prompt: "hi",
  thinking: false,
}
const TABLES = {
  "/v1/chat/completions": CHAT_FIELDS,
  "/apply-template": CHAT_FIELDS,
  "/v1/completions": COMPLETION_FIELDS,
  "/v1/messages": MESSAGES_FIELDS,
  "/v1/messages/count_tokens": MESSAGES_FIELDS,
  "/v1/responses": RESPONSES_FIELDS,
}
const PATHS = Object.keys(TABLES) as (keyof typeof TABLES)[]

/** A body in which the field has the value; a name with a dot is a field of an object. */
function bodyWith(name: string, value: unknown): object {
  const [outer = "", inner] = name.split(".")
  return { ...BODY, [outer]: inner === undefined ? value : { [inner]: value } }
}

async function answerOf(path: string, body: object): Promise<{ status: number; message: string }> {
  const response = await server.post(path, body)
  const { error } = (await response.json()) as { error?: { message: string } }
  return { status: response.status, message: error?.message ?? "" }
}

/** Values that ask for something, of every field that no API supports. */
const ASKING: [string, ...unknown[]][] = [
  ["response_format", { type: "json_object" }, { type: "json_schema", json_schema: {} }, "json"],
  ["output_format", { type: "json_schema", schema: {} }],
  ["output_config.format", { type: "json_schema", schema: {} }],
  ["output_config.task_budget", { type: "tokens", total: 9 }],
  ["text.format", { type: "json_schema", name: "a", schema: {} }],
  ["grammar", 'root ::= "a"'],
  ["json_schema", {}],
  ["guided_json", {}, '{"type":"object"}'],
  ["guided_regex", "a+"],
  ["guided_choice", ["a", "b"]],
  ["guided_grammar", "root: a"],
  ["structured_outputs", { json: {} }],
  ["structural_tag", "{}"],
  ["regex", "a"],
  ["ebnf", "a"],
  ["frequency_penalty", 0.5, -0.5, "much"],
  ["presence_penalty", 1],
  ["repetition_penalty", 1.1, 0],
  ["repeat_penalty", 1.1],
  ["length_penalty", 2],
  ["no_repeat_ngram_size", 3],
  ["dry_multiplier", 0.8],
  ["logit_bias", { 5: 1 }, { 5: -100 }],
  ["allowed_token_ids", [5]],
  ["bad_words", ["a"]],
  ["logits_processors", ["a"]],
  ["typical_p", 0.5],
  ["typ_p", 0.5],
  ["tfs_z", 0.5],
  ["top_a", 0.5],
  ["xtc_probability", 0.5],
  ["mirostat", 2],
  ["dynatemp_range", 0.5],
  ["smoothing_factor", 0.5],
  ["use_beam_search", true],
  ["n", 2, 0, "2"],
  ["best_of", 2],
  ["min_tokens", 5],
  ["ignore_eos", true],
  ["stop_token_ids", [5]],
  ["stop_regex", "a"],
  ["include_stop_str_in_output", true],
  ["no_stop_trim", true],
  ["n_predict", 5],
  ["max_new_tokens", 5],
  ["thinking_budget", 5],
  ["thinking_token_budget", 5],
  ["reasoning.max_tokens", 5],
  ["reasoning.exclude", true],
  ["reasoning.generate_summary", "auto"],
  ["logprobs", true, 5],
  ["top_logprobs", 3],
  ["prompt_logprobs", 0, 1],
  ["n_probs", 3],
  ["echo", true],
  ["suffix", "end"],
  ["prediction", { type: "content", content: "a" }],
  ["modalities", ["text", "audio"], ["audio"]],
  ["audio", { voice: "alloy", format: "wav" }],
  ["skip_special_tokens", false],
  ["spaces_between_special_tokens", "no"],
  ["return_token_ids", true],
  ["return_tokens", true],
  ["return_tokens_as_token_ids", true],
  ["return_hidden_states", true],
  ["include_reasoning", false],
  ["separate_reasoning", false],
  ["stream_reasoning", false],
  ["reasoning_format", "none"],
  ["parse_tool_calls", false],
  ["functions", [{ name: "f" }]],
  ["function_call", { name: "f" }],
  ["web_search_options", {}],
  ["mcp_servers", [{ type: "url", url: "https://x", name: "x" }]],
  ["container", "c_1", { skills: [] }],
  ["plugins", [{ id: "web" }]],
  ["documents", [{ text: "a" }]],
  ["chat_template", "{{ messages }}"],
  ["mm_processor_kwargs", { a: 1 }],
  ["add_special_tokens", "no"],
  ["truncation", "auto"],
  ["truncate_prompt_tokens", 5, -1],
  ["transforms", ["middle-out"]],
  [
    "context_management",
    { edits: [{ type: "clear_tool_uses_20250919" }] },
    { edits: [{ type: "clear_thinking_20251015", keep: { type: "thinking_turns", value: 1 } }] },
    [{ type: "compaction" }],
  ],
  ["background", true],
  ["previous_response_id", "resp_1"],
  ["conversation", "conv_1", { id: "conv_1" }],
  ["priority", 5],
  ["cache_salt", "a"],
  ["kv_transfer_params", {}],
  ["lora", [{ id: 0, scale: 1 }]],
  ["lora_path", "a"],
]

/** Values that change nothing, besides null. */
const NEUTRAL: [string, ...unknown[]][] = [
  ["response_format", { type: "text" }],
  ["output_format", { type: "text" }],
  ["text.format", { type: "text" }],
  ["output_config.format", { type: "text" }],
  ["grammar", ""],
  ["guided_choice", []],
  ["frequency_penalty", 0, -0],
  ["presence_penalty", 0],
  ["repetition_penalty", 1],
  ["logit_bias", {}, { 5: 0 }],
  ["n", 1],
  ["best_of", 1],
  ["min_tokens", 0],
  ["ignore_eos", false],
  ["stop_token_ids", []],
  ["bad_words", []],
  ["n_predict", -1],
  ["top_logprobs", 0],
  ["echo", false],
  ["suffix", ""],
  ["modalities", ["text"], []],
  ["skip_special_tokens", true],
  ["include_reasoning", true],
  ["functions", []],
  ["function_call", "auto", "none"],
  ["mcp_servers", []],
  ["documents", []],
  ["truncation", "disabled"],
  [
    "context_management",
    [],
    {},
    { edits: [] },
    { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
  ],
  ["background", false],
  ["priority", 0],
  ["store", true, false],
  ["metadata", {}],
  ["service_tier", "auto"],
  ["verbosity", "low"],
  ["whatever", { a: 1 }],
]

describe("a field that is known and not supported", () => {
  test.each(ASKING)("%s is the same 400 in every API that does not support it", async (...row) => {
    const [name, ...values] = row
    for (const value of values) {
      const refusals = new Set<string>()
      for (const path of PATHS) {
        if (Reflect.get(TABLES[path], name) !== Reflect.get(UNSUPPORTED_FIELDS, name)) continue
        const { status, message } = await answerOf(path, bodyWith(name, value))
        expect([path, name, value, status]).toEqual([path, name, value, 400])
        refusals.add(message)
      }
      expect([...refusals]).toHaveLength(1)
      expect([...refusals][0]).toStartWith(`${name} ${JSON.stringify(value)} is not supported: `)
    }
  })

  test("names itself as the parameter", async () => {
    const response = await server.post("/v1/responses", { input: "a", top_logprobs: 5 })
    const { error } = (await response.json()) as { error: { param: string } }
    expect(error.param).toBe("top_logprobs")
  })

  test("has values here that ask for something, all of them", () => {
    const refusedNames = Object.entries(UNSUPPORTED_FIELDS)
      .filter(([, { use }]) => use === "refused")
      .map(([name]) => name)
    expect(ASKING.map(([name]) => name).toSorted()).toEqual(refusedNames.toSorted())
  })

  test.each([...NEUTRAL, ...ASKING.map(([name]) => [name] as [string])])(
    "%s may be null or change nothing, in every API",
    async (...row) => {
      const [name, ...values] = row
      for (const value of [null, ...values])
        for (const path of PATHS) {
          const { status, message } = await answerOf(path, bodyWith(name, value))
          expect([path, name, value, status, message]).toEqual([path, name, value, 200, ""])
        }
    },
  )
})

describe("a supported field with a value that is not", () => {
  test("tool_choice that forces a call is the same 400 in every API", async () => {
    const tools = [{ type: "function", name: "f", function: { name: "f" }, input_schema: {} }]
    const forced = { type: "function", name: "f", function: { name: "f" } }
    for (const [path, choices] of [
      ["/v1/chat/completions", ["required", forced, { type: "allowed_tools" }]],
      ["/v1/responses", ["required", forced, { type: "web_search" }]],
      ["/v1/messages", [{ type: "any" }, { type: "tool", name: "f" }]],
    ] as const)
      for (const choice of choices) {
        const body = { ...BODY, ...(path === "/v1/messages" ? {} : { tools }), tool_choice: choice }
        const { status, message } = await answerOf(path, body)
        expect([path, choice, status]).toEqual([path, choice, 400])
        expect(message).toStartWith(
          `tool_choice ${JSON.stringify(choice)} is not supported: a call`,
        )
      }
  })

  test("include asks for log-probabilities", async () => {
    const { status, message } = await answerOf("/v1/responses", {
      ...BODY,
      include: ["reasoning.encrypted_content", "message.output_text.logprobs"],
    })
    expect([status, message.slice(0, 8)]).toEqual([400, "include "])
  })

  test("echo with logprobs asks for those of the prompt where no answer is asked for", async () => {
    const body = { prompt: "hi", echo: true, logprobs: 1, max_tokens: 0 }
    expect((await answerOf("/v1/completions", body)).status).toBe(400)
    expect((await answerOf("/v1/completions", { ...body, max_tokens: 2 })).status).toBe(200)
  })
})

test("supported_parameters are the fields that do something, and no refused one", async () => {
  const listed = (await (await server.get("/v1/models")).json()) as {
    data: [{ supported_parameters: string[] }]
  }
  const names = listed.data[0].supported_parameters
  expect(names).toContain("continue_final_message")
  for (const name of ["temperature", "top_k", "tools", "reasoning_effort", "stop", "logprobs"])
    expect(names).toContain(name)
  for (const name of [...ASKING.map(([each]) => each), "metadata", "messages"])
    if (name !== "logprobs" && name !== "top_logprobs") expect(names).not.toContain(name)
})
