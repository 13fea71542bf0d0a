/**
 * A request body that cannot become a conversation. `param` is the field, as in
 * `messages[2].content[0]`.
 */
export class RequestError extends Error {
  override readonly name = "RequestError"
  constructor(
    message: string,
    readonly param?: string,
  ) {
    super(message)
  }
}
