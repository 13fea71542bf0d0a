/** Names that models give to a parameter which holds all arguments as one object. */
const NAMES: ReadonlySet<string> = new Set([
  "arguments",
  "parameters",
  "args",
  "params",
  "kwargs",
  "input",
])
/** The names that count as such even when the tool's schema is unknown. */
const SURE_NAMES: ReadonlySet<string> = new Set(["arguments", "parameters"])

/** Whether a key stands for all arguments: no argument of the tool is called so. */
export const isWrapperName = (key: string, properties: ReadonlySet<string>): boolean =>
  (properties.size > 0 ? NAMES : SURE_NAMES).has(key) && !properties.has(key)
