// Control strings of the family. The bar is U+FF5C and the word separator U+2581; both are written
// as escapes here so that a look-alike can never slip in. Ids are looked up in the loaded
// vocabulary.
const BAR = "\uff5c"
const marker = (name: string): string => `<${BAR}${name}${BAR}>`

export const BOS = marker("begin\u2581of\u2581sentence")
export const EOS = marker("end\u2581of\u2581sentence")
export const USER = marker("User")
export const ASSISTANT = marker("Assistant")
export const THINK_OPEN = "<think>"
export const THINK_CLOSE = "</think>"
/** One token without the angle brackets: the brackets and the slash around it are ordinary text. */
export const DSML = `${BAR}DSML${BAR}`
export const LATEST_REMINDER = marker("latest_reminder")

/** Vendor-internal uses of a model, each ending a prompt with its own token. */
export const TASKS = [
  "action",
  "query",
  "authority",
  "domain",
  "title",
  "extracted_url",
  "read_url",
] as const
export type Task = (typeof TASKS)[number]
export const taskToken = (task: Task): string => marker(task)

/** Without these seven no conversation can be rendered or read back. */
export const REQUIRED_SPECIALS: readonly string[] = [
  BOS,
  EOS,
  USER,
  ASSISTANT,
  THINK_OPEN,
  THINK_CLOSE,
  DSML,
]

/**
 * Recognised as control tokens wherever a vocabulary holds them, even if the file types them as
 * ordinary.
 */
export const KNOWN_SPECIALS: readonly string[] = [
  ...REQUIRED_SPECIALS,
  LATEST_REMINDER,
  ...TASKS.map(taskToken),
  marker("deepseek_image"),
]

const BARRED = /^<[\uff5c|][^\uff5c|]+[\uff5c|]>$/

/**
 * Whether a token of this text stands between bars. All control tokens of the family do, those of
 * earlier checkpoints too, except `<think>`, `</think>` and the DSML marker.
 */
export const isBarred = (text: string): boolean => BARRED.test(text)
