// The tools of a request as the parser needs them: which declared name a sampled one means, and
// which arguments a tool takes.
import { tryParseJsonNode, type JsonNode } from "../json/json-node.ts"
import { jsonNodeOf } from "../json/json-value.ts"
import { closestName } from "./closest-name.ts"
import type { ToolDeclaration } from "../template/conversation.ts"

export type CallableTool = Pick<ToolDeclaration, "name" | "parameters" | "definition">

interface ResolvedTool {
  readonly name: string
  /** The sampled name was exactly this. */
  readonly isExact: boolean
}

/** A member of a JSON object that is an object itself. */
const memberOf = (node: JsonNode | undefined, key: string): JsonNode | undefined => {
  const member = node?.kind === "object" ? node.members.get(key) : undefined
  return member?.kind === "object" ? member : undefined
}

const propertiesOf = ({ definition, parameters }: CallableTool): ReadonlySet<string> => {
  const declared = definition === undefined ? undefined : tryParseJsonNode(definition)
  const schema =
    parameters === undefined
      ? (memberOf(declared, "parameters") ?? memberOf(declared, "input_schema"))
      : jsonNodeOf(parameters)
  const properties = memberOf(schema, "properties")
  return new Set(properties?.kind === "object" ? properties.members.keys() : [])
}

export class DeclaredTools {
  private readonly tools: ReadonlyMap<string, CallableTool>
  private readonly names: ReadonlySet<string>
  private readonly properties = new Map<string, ReadonlySet<string>>()

  constructor(tools: readonly CallableTool[]) {
    this.tools = new Map(tools.map((tool) => [tool.name, tool]))
    this.names = new Set(this.tools.keys())
  }

  get isEmpty(): boolean {
    return this.tools.size === 0
  }

  /** The declared tool that a sampled name means; undefined when none or several are meant. */
  resolve(sampled: string): ResolvedTool | undefined {
    const name = closestName(this.names, sampled)
    return name === undefined ? undefined : { name, isExact: name === sampled }
  }

  /** Names of the arguments in the tool's schema; empty when nothing is known of them. */
  propertiesOf(name: string): ReadonlySet<string> {
    const known = this.properties.get(name)
    if (known !== undefined) return known
    const tool = this.tools.get(name)
    const properties = tool === undefined ? new Set<string>() : propertiesOf(tool)
    this.properties.set(name, properties)
    return properties
  }
}
