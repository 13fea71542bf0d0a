import { jsonNodeOf } from "../json/json-value.ts"
import { tryParseJsonNode, writeJsonNode } from "../json/json-node.ts"
import { DSML } from "@ds4/tokenizer/special-tokens"
import type { ToolDeclaration } from "./conversation.ts"

export type Profile = "reference" | "compat"

const callSyntax = (user: string): string =>
  `## Tools

You have access to a set of tools to help answer the ${user} question. You can invoke tools by writing a "<${DSML}tool_calls>" block like the following:

<${DSML}tool_calls>
<${DSML}invoke name="$TOOL_NAME">
<${DSML}parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</${DSML}parameter>
...
</${DSML}invoke>
<${DSML}invoke name="$TOOL_NAME2">
...
</${DSML}invoke>
</${DSML}tool_calls>

`

const NON_STRINGS = `For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set \`string="false"\`.

If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool calls or final response.

Otherwise, output directly after </think> with tool calls or final response.

### Available Tool Schemas

`

const LAST_LINE =
  "\n\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke " +
  "tool calls."

/** The text around the schemas, one per line between `before` and `after`. */
export const TOOLS_BLOCK: Readonly<
  Record<Profile, { readonly before: string; readonly after: string }>
> = {
  reference: {
    before:
      `${callSyntax("user's")}String parameters should be specified as is and set ` +
      `\`string="true"\`. ${NON_STRINGS}`,
    after: `${LAST_LINE}\n`,
  },
  compat: {
    before:
      `${callSyntax("user")}String parameters should be specified as raw text and set ` +
      `\`string="true"\`. Preserve characters such as \`>\`, \`&\`, and \`&&\` exactly; never ` +
      `replace normal string characters with XML or HTML entity escapes. Only if a string value ` +
      `itself contains the exact closing parameter tag \`</${DSML}parameter>\`, write that tag ` +
      `as \`&lt;/${DSML}parameter>\` inside the value. ${NON_STRINGS}`,
    after: `${LAST_LINE} Use the exact parameter names from the schemas.`,
  },
}

/**
 * The one line that describes a tool. The reference writes spaced JSON; compat repeats what it
 * received, byte for byte, where the request's text is known.
 */
export const toolSchemaLine = (tool: ToolDeclaration, profile: Profile): string => {
  const { name, description, parameters, definition } = tool
  const node = definition === undefined ? undefined : tryParseJsonNode(definition)
  if (definition !== undefined && profile === "compat") return definition
  return writeJsonNode(node ?? jsonNodeOf({ name, description, parameters }), "spaced")
}

export const RESPONSE_FORMAT_HEADING =
  "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n"
