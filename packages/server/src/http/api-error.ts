// The errors that routes throw, and their bodies in the shape of each API. The table below is the
// only place that turns a code into an HTTP status.

type ApiErrorCode =
  | "INVALID_REQUEST"
  | "CONTEXT_LENGTH"
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "CONFLICT"
  | "TOO_LARGE"
  | "HEADERS_TOO_LARGE"
  | "UNSUPPORTED_ENCODING"
  | "RATE_LIMITED"
  | "CLIENT_GONE"
  | "CANCELLED"
  | "CANCELLED_BY_OPERATOR"
  | "INTERNAL"
  | "UNAVAILABLE"

interface ErrorRow {
  status: number
  openai: string
  anthropic: string
}

const ERROR_TABLE: Record<ApiErrorCode, ErrorRow> = {
  INVALID_REQUEST: {
    status: 400,
    openai: "invalid_request_error",
    anthropic: "invalid_request_error",
  },
  CONTEXT_LENGTH: {
    status: 400,
    openai: "invalid_request_error",
    anthropic: "invalid_request_error",
  },
  UNAUTHENTICATED: {
    status: 401,
    openai: "authentication_error",
    anthropic: "authentication_error",
  },
  FORBIDDEN: { status: 403, openai: "permission_error", anthropic: "permission_error" },
  NOT_FOUND: { status: 404, openai: "not_found_error", anthropic: "not_found_error" },
  METHOD_NOT_ALLOWED: {
    status: 405,
    openai: "invalid_request_error",
    anthropic: "invalid_request_error",
  },
  CONFLICT: { status: 409, openai: "conflict_error", anthropic: "invalid_request_error" },
  TOO_LARGE: { status: 413, openai: "invalid_request_error", anthropic: "request_too_large" },
  HEADERS_TOO_LARGE: {
    status: 431,
    openai: "invalid_request_error",
    anthropic: "invalid_request_error",
  },
  UNSUPPORTED_ENCODING: {
    status: 415,
    openai: "invalid_request_error",
    anthropic: "invalid_request_error",
  },
  RATE_LIMITED: { status: 429, openai: "rate_limit_error", anthropic: "rate_limit_error" },
  CLIENT_GONE: { status: 499, openai: "server_error", anthropic: "api_error" },
  CANCELLED: { status: 503, openai: "server_error", anthropic: "overloaded_error" },
  // Clients repeat what failed with 5xx, 408, 409 or 429: a cancelled request would come back.
  CANCELLED_BY_OPERATOR: {
    status: 499,
    openai: "invalid_request_error",
    anthropic: "invalid_request_error",
  },
  INTERNAL: { status: 500, openai: "server_error", anthropic: "api_error" },
  UNAVAILABLE: { status: 503, openai: "server_error", anthropic: "overloaded_error" },
}

interface ApiErrorDetails {
  param?: string
  /** Machine-readable word of the OpenAI shape, e.g. "context_length_exceeded". */
  reason?: string
  headers?: Record<string, string>
  promptTokens?: number
  contextTokens?: number
  cause?: unknown
}

/** An error with a fixed HTTP status. `details.param` names the offending request field. */
export class ApiError extends Error {
  override readonly name = "ApiError"
  constructor(
    readonly code: ApiErrorCode,
    message: string,
    readonly details: ApiErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
  }

  get status(): number {
    return ERROR_TABLE[this.code].status
  }
}

export type ErrorShape = "openai" | "anthropic"

/**
 * Anthropic's shape for requests under /v1/messages, and for shared paths where the headers have
 * its `anthropic-version`; else OpenAI's.
 */
export function errorShapeOf(path: string, headers?: Headers): ErrorShape {
  if (/^(\/v1)?\/messages(\/|$)/.test(path)) return "anthropic"
  const isShared = !/^(\/v1)?\/(chat\/completions|completions|responses)(\/|$)/.test(path)
  return isShared && headers?.has("anthropic-version") === true ? "anthropic" : "openai"
}

/**
 * The text that a client reads. A failure of the server's own tells nothing of its insides; the log
 * has them under the id of the request.
 */
export function publicMessage(error: unknown, requestId: string): string {
  if (error instanceof ApiError && error.code !== "INTERNAL") return error.message
  return `the server failed; its log says why under ${requestId}`
}

/** The JSON body of an error response in the given shape. */
function errorBody(error: ApiError, shape: ErrorShape, requestId: string): Record<string, unknown> {
  const row = ERROR_TABLE[error.code]
  const { promptTokens, contextTokens, param, reason } = error.details
  const text = publicMessage(error, requestId)
  const overflow =
    promptTokens === undefined ? {} : { n_prompt_tokens: promptTokens, n_ctx: contextTokens }
  if (shape === "anthropic") {
    const message = param === undefined || text.includes(param) ? text : `${param}: ${text}`
    return {
      type: "error",
      error: { type: row.anthropic, message, ...overflow },
      request_id: requestId,
    }
  }
  return {
    error: {
      message: text,
      type: row.openai,
      param: param ?? null,
      code: reason ?? null,
      ...overflow,
    },
  }
}

export function errorResponse(error: ApiError, shape: ErrorShape, requestId: string): Response {
  return Response.json(errorBody(error, shape, requestId), {
    status: error.status,
    headers: error.details.headers ?? {},
  })
}

export function invalid(message: string, param?: string): ApiError {
  return new ApiError("INVALID_REQUEST", message, param === undefined ? {} : { param })
}

interface ContextRoom {
  readonly contextTokens: number
  readonly longestContextTokens: number
}

/**
 * The prompt does not fit. Codex and Claude Code match these words and compact the conversation.
 */
export function contextOverflow(
  promptTokens: number,
  { contextTokens, longestContextTokens }: ContextRoom,
  param: string,
  shape: ErrorShape,
): ApiError {
  const advice =
    contextTokens < longestContextTokens
      ? "Shorten it or start the server with a larger --ctx."
      : "Shorten it: the model was made for no more."
  const message =
    shape === "anthropic"
      ? `prompt is too long: ${promptTokens} tokens > ${contextTokens} maximum`
      : `This model's maximum context length is ${contextTokens} tokens; the prompt has ` +
        `${promptTokens} tokens. ${advice}`
  return new ApiError("CONTEXT_LENGTH", message, {
    param,
    reason: "context_length_exceeded",
    promptTokens,
    contextTokens,
  })
}
