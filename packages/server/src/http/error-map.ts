// Turns anything that was thrown into the error that the client reads.
import { RequestError } from "@ds4/chat"
import type { TSchema } from "@sinclair/typebox"
import type { TypeCheck } from "@sinclair/typebox/compiler"
import { ValidationError } from "elysia"
import { ApiError, invalid } from "./api-error.ts"
import { expectedOf } from "./expected.ts"
import { shownValue } from "./shown-value.ts"
import type { RouteTable } from "./route-table.ts"

/** Messages that clients of older servers match, for a required field that is missing. */
const MISSING_WORDS: Record<string, string> = {
  messages: "missing messages",
  input: "missing input",
  prompt: "missing prompt",
}

interface SchemaFault {
  path?: string
  schema?: unknown
  value?: unknown
}

/** Makes a schema violation a 400 that names the field: "messages[0].role". */
function fromValidation(error: ValidationError): ApiError {
  const fault = firstFault(error)
  const param = fieldName(fault?.path ?? "")
  if (fault !== undefined && fault.value === undefined && Object.hasOwn(MISSING_WORDS, param))
    return invalid(MISSING_WORDS[param] ?? "", param)
  const shown = shownValue(fault?.value)
  if (param === "") return invalid(`the body must be a JSON object; got ${shown}`)
  return invalid(
    `${param} is ${shown}; expected ` +
      `${fault?.schema === undefined ? error.message : expectedOf(fault.schema)}`,
    param,
  )
}

/** The first fault only: a body of megabytes may have a fault in each of its items. */
function firstFault(error: ValidationError): SchemaFault | undefined {
  const { validator, value } = error as unknown as { validator: TypeCheck<TSchema>; value: unknown }
  return validator.Errors(value).First()
}

/** "/messages/0/role" → "messages[0].role". */
function fieldName(pointer: string): string {
  const parts = pointer.split("/").slice(1)
  return parts
    .map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join("")
}

/** The ApiError for anything thrown while a request was handled. */
export function toApiError(
  thrown: unknown,
  code: string | number,
  request: { method: string; path: string },
  routes: RouteTable,
): ApiError {
  if (thrown instanceof ApiError) return thrown
  if (thrown instanceof RequestError)
    return new ApiError(
      "INVALID_REQUEST",
      thrown.message,
      thrown.param === undefined ? {} : { param: thrown.param },
    )
  if (thrown instanceof ValidationError) return fromValidation(thrown)
  if (code === "NOT_FOUND") return unknownRoute(request, routes)
  const cause = thrown instanceof Error ? thrown.cause : undefined
  if (code === "PARSE") return cause instanceof ApiError ? cause : invalid("invalid JSON request")
  return new ApiError("INTERNAL", thrown instanceof Error ? thrown.message : String(thrown), {
    cause: thrown,
  })
}

function unknownRoute(
  { method, path }: { method: string; path: string },
  routes: RouteTable,
): ApiError {
  const methods = routes.methodsOf(path)
  if (methods === undefined)
    return new ApiError("NOT_FOUND", "unknown endpoint", { reason: "unknown_endpoint" })
  const allow = methods.join(", ")
  return new ApiError("METHOD_NOT_ALLOWED", `${method} is not allowed here; use ${allow}`, {
    reason: "method_not_allowed",
    headers: { allow },
  })
}
