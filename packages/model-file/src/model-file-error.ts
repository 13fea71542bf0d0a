/**
 * The kind of fault of a model file. `IO` and `NOT_FOUND` are about reaching it, the others about
 * its contents.
 */
export type ModelFileErrorCode =
  | "NOT_FOUND"
  | "IO"
  | "FORMAT"
  | "MISSING"
  | "UNEXPECTED"
  | "SHAPE"
  | "RANGE"
  | "VALUE"
  | "UNSUPPORTED"

/**
 * A model file that cannot be used. The message says what was expected, what came and, where it
 * helps, what to do.
 */
export class ModelFileError extends Error {
  override readonly name = "ModelFileError"
  readonly tensor: string | undefined
  readonly path: string | undefined

  constructor(
    readonly code: ModelFileErrorCode,
    message: string,
    options: ErrorOptions & { tensor?: string | undefined; path?: string | undefined } = {},
  ) {
    super(
      options.path === undefined ? message : `${options.path}: ${message}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    this.tensor = options.tensor
    this.path = options.path
  }
}
