/** A flag, a variable or a key of ds4.toml that cannot be used. Its message is for the user. */
export class OptionError extends Error {
  override readonly name = "OptionError"
}
