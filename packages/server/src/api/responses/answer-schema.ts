import { Type } from "@sinclair/typebox"
import { responsesUsage } from "../../answer/answer-schemas.ts"

const ITEM_STATUSES = [Type.Literal("completed"), Type.Literal("incomplete")] as const
const status = Type.Union([...ITEM_STATUSES])
const item = { id: Type.String(), status }

const outputItem = Type.Union([
  Type.Object({
    ...item,
    type: Type.Literal("reasoning"),
    summary: Type.Array(Type.Object({ type: Type.String(), text: Type.String() })),
    encrypted_content: Type.Optional(Type.String()),
  }),
  Type.Object({
    ...item,
    type: Type.Literal("message"),
    role: Type.Literal("assistant"),
    content: Type.Array(
      Type.Object({
        type: Type.Literal("output_text"),
        text: Type.String(),
        annotations: Type.Array(Type.Unknown()),
      }),
    ),
  }),
  Type.Object({
    ...item,
    type: Type.Literal("function_call"),
    call_id: Type.String(),
    name: Type.String(),
    namespace: Type.Optional(Type.String()),
    arguments: Type.String(),
  }),
  Type.Object({
    ...item,
    type: Type.Literal("custom_tool_call"),
    call_id: Type.String(),
    name: Type.String(),
    namespace: Type.Optional(Type.String()),
    input: Type.String(),
  }),
])

/** A `response` object; fields of the request are echoed in it. */
export const ResponseObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal("response"),
    created_at: Type.Integer(),
    // Only stored responses have failed or been cancelled.
    status: Type.Union([...ITEM_STATUSES, Type.Literal("failed"), Type.Literal("cancelled")]),
    model: Type.String(),
    error: Type.Union([Type.Object({ code: Type.String(), message: Type.String() }), Type.Null()]),
    incomplete_details: Type.Union([Type.Object({ reason: Type.String() }), Type.Null()]),
    output: Type.Array(outputItem),
    usage: Type.Union([responsesUsage, Type.Null()]),
    previous_response_id: Type.Union([Type.String(), Type.Null()]),
    store: Type.Boolean(),
  },
  { additionalProperties: true },
)

export const CancelledResponse = Type.Object({
  id: Type.String(),
  object: Type.Literal("response"),
  status: Type.Literal("cancelled"),
})

export const DeletedResponse = Type.Object({
  id: Type.String(),
  object: Type.Literal("response"),
  deleted: Type.Literal(true),
})
