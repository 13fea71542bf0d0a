// Begins to read a call: whose it is, and whom it goes to.
import { nameIn } from "./block-parameter.ts"
import { CallParser } from "./call-parser.ts"
import { PROBLEMS } from "./call-problem.ts"
import { CallStream } from "./call-stream.ts"
import type { DeclaredTools } from "./declared-tools.ts"
import { isMarkedTag, type Tag } from "./tags.ts"
import type { TextBuffer } from "./text-buffer.ts"

/** A call that is being read. */
export interface OpenCall {
  readonly parser: CallParser
  /** Undefined: the call goes to nobody. */
  readonly name: string | undefined
  /** Why a call that goes to nobody is none; undefined: its tool is not declared. */
  readonly problem: string | undefined
  readonly sampledName: string
}

interface OpenCallParts {
  readonly input: TextBuffer
  readonly tools: DeclaredTools
  /** A stream to the client for a call of a declared tool. */
  stream(name: string): CallStream
}

/** @param tag of a call, or of a parameter whose call's tag was forgotten */
export function openCall(tag: Tag, parts: OpenCallParts): OpenCall {
  const { input, tools } = parts
  const sampledName = (tag.name === "invoke" ? nameIn(tag) : undefined) ?? ""
  const tool = tools.resolve(sampledName)
  const target =
    tool === undefined
      ? new CallStream(-1, "", sampledName, Infinity, () => {})
      : parts.stream(tool.name)
  const parser = new CallParser(input, target, {
    isPlain: !isMarkedTag(tag),
    properties: tools.propertiesOf(tool?.name ?? ""),
    isDeclared: (name) => tools.resolve(name) !== undefined,
    isSameTool: (name) => tool !== undefined && tools.resolve(name)?.name === tool.name,
  })
  if (tool?.isExact === false) parser.markRepaired()
  const problem = sampledName === "" ? PROBLEMS.noName : undefined
  if (tag.name !== "parameter") return { parser, name: tool?.name, sampledName, problem }
  parser.openParameter(tag)
  return { parser, name: undefined, sampledName, problem: PROBLEMS.noTool }
}
