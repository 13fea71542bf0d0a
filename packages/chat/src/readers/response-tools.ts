// Tools of POST /v1/responses: what the model is shown, and how calls are shown to the client
// again.
import type { ToolDeclaration } from "../template/conversation.ts"
import { type JsonNode, writeJsonNode } from "../json/json-node.ts"
import { jsonNodeOf } from "../json/json-value.ts"
import { type Fields, fieldsAt, itemsAt, nameAt } from "./fields.ts"
import { declaredAsReceived, toolDefinition } from "./request.ts"

/** How a tool is shown to the client; the model knows only the internal name. */
export interface ToolIdentity {
  kind: "function" | "custom"
  name: string
  namespace: string | undefined
}

interface ResponseTools {
  readonly tools: ToolDeclaration[]
  /** Internal name to what the client declared. */
  readonly names: Map<string, ToolIdentity>
}

/** A custom tool takes free text: one string argument. */
export const CUSTOM_INPUT = "input"
const CUSTOM_PARAMETERS = {
  type: "object",
  properties: { [CUSTOM_INPUT]: { type: "string" } },
  required: [CUSTOM_INPUT],
}
const SEARCH_PARAMETERS = {
  type: "object",
  properties: { query: { type: "string" } },
  required: ["query"],
}

/** The flat function object without its `type`, which the trained form does not have. */
const withoutType = (tool: Fields): string => {
  const node = jsonNodeOf(tool)
  if (node.kind !== "object")
    return toolDefinition(String(tool.name), tool.description, tool.parameters)
  const members = new Map<string, JsonNode>([...node.members].filter(([key]) => key !== "type"))
  return writeJsonNode({ kind: "object", members, source: undefined }, "minified")
}

class ToolReader {
  readonly tools: ToolDeclaration[] = []
  readonly names = new Map<string, ToolIdentity>()

  constructor(private readonly isCompat: boolean) {}

  private add(
    tool: ToolDeclaration,
    kind: ToolIdentity["kind"],
    name: string,
    namespace?: string,
  ): void {
    this.tools.push(tool)
    this.names.set(tool.name, { kind, name, namespace })
  }

  private function(path: string, tool: Fields): void {
    const received = declaredAsReceived(path, tool)
    this.add(
      this.isCompat ? received : { name: received.name, definition: withoutType(tool) },
      "function",
      received.name,
    )
  }

  private custom(path: string, tool: Fields, namespace = ""): void {
    const name = nameAt(`${path}.name`, tool.name)
    const internal = namespace + name
    this.add(
      { name: internal, definition: toolDefinition(internal, tool.description, CUSTOM_PARAMETERS) },
      "custom",
      name,
      namespace || undefined,
    )
  }

  /** The internal name is the plain concatenation of the namespace's and the tool's. */
  private namespace(path: string, group: Fields): void {
    const namespace = nameAt(`${path}.name`, group.name)
    itemsAt(`${path}.tools`, group.tools).forEach((raw, index) => {
      const toolPath = `${path}.tools[${index}]`
      const tool = fieldsAt(toolPath, raw)
      if (tool.type === "custom") return this.custom(toolPath, tool, namespace)
      const name = nameAt(`${toolPath}.name`, tool.name)
      const internal = namespace + name
      this.add(
        { name: internal, definition: toolDefinition(internal, tool.description, tool.parameters) },
        "function",
        name,
        namespace,
      )
    })
  }

  read(path: string, raw: unknown): void {
    const tool = fieldsAt(path, raw)
    switch (tool.type) {
      case "function":
        return this.function(path, tool)
      case "custom":
        return this.custom(path, tool)
      case "namespace":
        return this.namespace(path, tool)
      case "tool_search":
        return this.add(
          {
            name: "tool_search",
            definition: toolDefinition(
              "tool_search",
              tool.description,
              tool.parameters ?? SEARCH_PARAMETERS,
            ),
          },
          "function",
          "tool_search",
        )
      default: // the vendor's own tools are accepted and not offered to the model
    }
  }
}

/** @throws RequestError naming the field */
export const readResponseTools = (
  declared: readonly unknown[],
  isCompat: boolean,
): ResponseTools => {
  const reader = new ToolReader(isCompat)
  declared.forEach((tool, index) => reader.read(`tools[${index}]`, tool))
  return reader
}
