// Fields of these APIs, and of servers like this one, that are known and not supported. Every API
// refuses all of them, with the same words: a client may send one API's field to another.
import { type FieldTable, ignored, refused } from "./field.ts"

const isEmpty = (value: unknown): boolean =>
  value === "" || (Array.isArray(value) && value.length === 0)

const isEmptyObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0

const isTextFormat = (value: unknown): boolean =>
  value === "text" ||
  (typeof value === "object" && value !== null && "type" in value && value.type === "text")

const isBiasOfZeros = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.values(value).every((bias) => bias === 0)

/** `clear_thinking` with `keep: "all"` clears nothing. */
const clearsNothing = (edit: unknown): boolean =>
  typeof edit === "object" &&
  edit !== null &&
  "type" in edit &&
  String(edit.type).startsWith("clear_thinking") &&
  "keep" in edit &&
  edit.keep === "all"

const managesNothing = (value: unknown): boolean => {
  if (isEmpty(value) || isEmptyObject(value)) return true
  if (typeof value !== "object" || value === null || !("edits" in value)) return false
  return Array.isArray(value.edits) && value.edits.every(clearsNothing)
}

const CONSTRAINED = "answers cannot be constrained to a schema or grammar yet"
const PENALTY = "there are no penalties in the sampler"
const SAMPLER = "this is not part of the sampler, which has temperature, top_k, top_p and min_p"
const MASK = "single tokens cannot be forced or forbidden"
const ENDING = "an answer ends at its end token, a stop string or its limit alone"
const TOKENS = "answers are given as text only"
const LOGPROBS =
  "log-probabilities are given by chat completions and completions, of the answer only"
const HOSTED = "tools run on the client's side only; declare functions in tools"
const CONVERSATION =
  "conversations have no names here; continue a response of /v1/responses by previous_response_id"
const CONTINUED =
  "only responses of /v1/responses can be continued there; send the whole conversation"
const SPEECH = "answers are text only"
const TEMPLATE = "prompts are written by the model's own template"
const CUT = "nothing is ever cut silently; shorten the conversation"
const REASONING = "reasoning is always given apart from the answer"

/** A format of the answer; plain text is what there is. */
const textFormat = refused(CONSTRAINED, [{ type: "text" }], isTextFormat)

const constraint = refused(CONSTRAINED, [], isEmpty)
const switchedOff = (why: string) => refused(why, [false])
const number = (why: string, neutral: number) => refused(why, [neutral])
const list = (why: string) => refused(why, [[]], isEmpty)

const FORMATS = {
  response_format: textFormat,
  output_format: textFormat,
  "output_config.format": textFormat,
  "text.format": textFormat,
  grammar: constraint,
  json_schema: constraint,
  guided_json: constraint,
  guided_regex: constraint,
  guided_choice: constraint,
  guided_grammar: constraint,
  structured_outputs: constraint,
  structural_tag: constraint,
  regex: constraint,
  ebnf: constraint,
  guided_decoding_backend: ignored("belongs to guided decoding, which is refused by its fields"),
  guided_whitespace_pattern: ignored("belongs to guided decoding, which is refused by its fields"),
}

const SAMPLING = {
  frequency_penalty: number(PENALTY, 0),
  presence_penalty: number(PENALTY, 0),
  repetition_penalty: number(PENALTY, 1),
  repeat_penalty: number(PENALTY, 1),
  length_penalty: number(PENALTY, 1),
  no_repeat_ngram_size: number(PENALTY, 0),
  dry_multiplier: number(PENALTY, 0),
  logit_bias: refused(MASK, [{}], isBiasOfZeros),
  allowed_token_ids: list(MASK),
  bad_words: list(MASK),
  logits_processors: list(MASK),
  typical_p: number(SAMPLER, 1),
  typ_p: number(SAMPLER, 1),
  tfs_z: number(SAMPLER, 1),
  top_a: number(SAMPLER, 0),
  xtc_probability: number(SAMPLER, 0),
  mirostat: number(SAMPLER, 0),
  dynatemp_range: number(SAMPLER, 0),
  smoothing_factor: number(SAMPLER, 0),
  use_beam_search: switchedOff(SAMPLER),
  samplers: ignored("the order of samplers is fixed"),
  repeat_last_n: ignored("belongs to penalties, which are refused by their fields"),
  n: number("only one answer is given; send the request again for another", 1),
  best_of: number("only one answer is given; send the request again for another", 1),
}

const ENDINGS = {
  min_tokens: number(ENDING, 0),
  ignore_eos: switchedOff(ENDING),
  stop_token_ids: list(ENDING),
  stop_regex: list(ENDING),
  include_stop_str_in_output: switchedOff("stop strings are never part of the answer"),
  no_stop_trim: switchedOff("stop strings are never part of the answer"),
  n_predict: number("the limit of an answer is max_tokens", -1),
  max_new_tokens: number("the limit of an answer is max_tokens", -1),
  thinking_budget: refused("the limit of reasoning is thinking.budget_tokens"),
  thinking_token_budget: refused("the limit of reasoning is thinking.budget_tokens"),
  "reasoning.max_tokens": refused("the limit of reasoning is thinking.budget_tokens"),
}

const OUTPUT = {
  logprobs: refused(LOGPROBS, [false]),
  top_logprobs: refused(LOGPROBS, [0]),
  prompt_logprobs: refused(LOGPROBS),
  n_probs: number(LOGPROBS, 0),
  echo: switchedOff("only completions give the prompt back"),
  suffix: refused("the model has no fill-in form", [""]),
  prediction: refused("an answer cannot be predicted by the client"),
  modalities: refused(SPEECH, [["text"]], isEmpty),
  audio: refused(SPEECH),
  skip_special_tokens: refused("control tokens are never shown", [true]),
  spaces_between_special_tokens: refused(TOKENS, [true, false]),
  return_token_ids: switchedOff(TOKENS),
  return_tokens: switchedOff(TOKENS),
  return_tokens_as_token_ids: switchedOff(TOKENS),
  return_hidden_states: switchedOff(TOKENS),
  include_reasoning: refused(REASONING, [true]),
  separate_reasoning: refused(REASONING, [true]),
  stream_reasoning: refused(REASONING, [true]),
  "reasoning.exclude": switchedOff(REASONING),
  reasoning_format: refused(REASONING, ["auto", "deepseek"]),
  parse_tool_calls: refused("tool calls are always read", [true]),
  "reasoning.generate_summary": refused("its name is reasoning.summary"),
}

const INPUT = {
  functions: list("functions are declared in tools"),
  function_call: refused("functions are declared in tools and chosen by tool_choice", [
    "none",
    "auto",
  ]),
  web_search_options: refused(HOSTED),
  mcp_servers: list(HOSTED),
  container: refused(HOSTED),
  plugins: list(HOSTED),
  documents: list(TEMPLATE),
  chat_template: refused(TEMPLATE),
  mm_processor_kwargs: refused("the model reads text only", [{}]),
  add_special_tokens: refused(TEMPLATE, [false]),
  truncation: refused(CUT, ["disabled"]),
  truncate_prompt_tokens: refused(CUT),
  transforms: list(CUT),
  context_management: refused(CUT, [{ edits: [] }], managesNothing),
  "output_config.task_budget": refused("the limit of an answer is max_tokens"),
}

const SERVING = {
  background: switchedOff("an answer is read from its own connection; use stream"),
  previous_response_id: refused(CONTINUED),
  conversation: refused(CONVERSATION),
  priority: number("requests are served in the order of their arrival", 0),
  cache_salt: refused("sessions are shared by all clients of this server", [""]),
  kv_transfer_params: refused("sessions cannot be moved to another server"),
  lora: list("the model is served as it was loaded"),
  lora_path: list("the model is served as it was loaded"),
  store: ignored("only responses of /v1/responses are stored"),
  metadata: ignored("labels for the client's own use"),
  service_tier: ignored("there is one tier"),
  verbosity: ignored("the model has no such setting"),
  prompt_cache_retention: ignored("sessions are kept as long as there is room"),
  safety_identifier: ignored("names the client's user"),
}

/** Every API has these, except those that it supports. */
export const UNSUPPORTED_FIELDS: FieldTable = {
  ...FORMATS,
  ...SAMPLING,
  ...ENDINGS,
  ...OUTPUT,
  ...INPUT,
  ...SERVING,
}

/** The whole table of an API: its own fields, and behind them those that it does not support. */
export function withUnsupported<T extends FieldTable>(own: T): T {
  const rest = Object.entries(UNSUPPORTED_FIELDS).filter(([name]) => !Object.hasOwn(own, name))
  return { ...own, ...Object.fromEntries(rest) }
}
