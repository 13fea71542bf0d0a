// Parts of a message that are no text: for each kind the reason why it cannot be read here.
import type { Fields } from "./fields.ts"
import { RequestError } from "./request-error.ts"

/** Where a part stands: it decides what the client should send instead. */
export type PartPlace = "chat" | "messages" | "responses"

const media = (what: string, instead = ""): string =>
  `${what} input is not supported by this model${instead}`

const IMAGE = media("image")
const AUDIO = media("audio")
const VIDEO = media("video")
const FILE = media("file", "; send the text of the file as a text part")
const DOCUMENT = media("document", "; send the text of the document as a text part")

const REASONING: Readonly<Record<PartPlace, string>> = {
  chat: "reasoning is no content part; send it as reasoning_content of an assistant message",
  messages: "thinking blocks belong to assistant messages, in front of their text",
  responses: 'reasoning is no content part; send it as an item of the type "reasoning"',
}
const CALL: Readonly<Record<PartPlace, string>> = {
  chat: "calls are no content parts; send them as tool_calls of an assistant message",
  messages: "tool_use blocks belong to assistant messages",
  responses: 'calls are no content parts; send them as items of the type "function_call"',
}
const RESULT: Readonly<Record<PartPlace, string>> = {
  chat: 'results are no content parts; send them as messages of the role "tool"',
  messages: "tool_result blocks belong to user messages",
  responses: 'results are no content parts; send them as items of the type "function_call_output"',
}

const REASONS: ReadonlyMap<unknown, string | Readonly<Record<PartPlace, string>>> = new Map<
  unknown,
  string | Readonly<Record<PartPlace, string>>
>([
  ["image", IMAGE],
  ["image_url", IMAGE],
  ["image_file", IMAGE],
  ["input_image", IMAGE],
  ["output_image", IMAGE],
  ["computer_screenshot", IMAGE],
  ["audio", AUDIO],
  ["audio_url", AUDIO],
  ["input_audio", AUDIO],
  ["output_audio", AUDIO],
  ["video", VIDEO],
  ["video_url", VIDEO],
  ["input_video", VIDEO],
  ["file", FILE],
  ["file_url", FILE],
  ["input_file", FILE],
  ["container_upload", FILE],
  ["document", DOCUMENT],
  ["thinking", REASONING],
  ["redacted_thinking", REASONING],
  ["reasoning", REASONING],
  ["reasoning_text", REASONING],
  ["tool_use", CALL],
  ["tool_call", CALL],
  ["function_call", CALL],
  ["tool_result", RESULT],
  ["function_call_output", RESULT],
])

/** Whether the kind of a part is known, and is not text. */
export const isKnownPart = (type: unknown): boolean => REASONS.has(type)

/** The refusal of a part that is not text. */
export const refusedPart = (path: string, { type }: Fields, place: PartPlace): RequestError => {
  const reason = REASONS.get(type)
  if (reason !== undefined)
    return new RequestError(typeof reason === "string" ? reason : reason[place], path)
  const shown = JSON.stringify(type) ?? "nothing"
  return new RequestError(
    `${path}.type: ${shown} is not a kind of content that can be read here; send text`,
    `${path}.type`,
  )
}
