/**
 * The kind of fault of a vocabulary or a token id.
 * IO: the file cannot be read. FORMAT: a field is missing, mistyped or contradicts another.
 * UNSUPPORTED: a well-formed vocabulary of a kind this package does not implement.
 * MISSING_BYTE: one of the 256 single bytes has no token. MISSING_SPECIAL: a control token chat
 * needs is absent. UNKNOWN_ID: an id outside the vocabulary.
 */
export type TokenizerErrorCode =
  | "IO"
  | "FORMAT"
  | "UNSUPPORTED"
  | "MISSING_BYTE"
  | "MISSING_SPECIAL"
  | "UNKNOWN_ID"

export class TokenizerError extends Error {
  override readonly name = "TokenizerError"
  constructor(
    readonly code: TokenizerErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
