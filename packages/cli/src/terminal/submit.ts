const FENCE = '"""'

/** The effect of Enter: it adds a line to an unfinished text, or sends it. */
type SubmitAction =
  | { readonly type: "newline"; readonly text: string }
  | { readonly type: "send"; readonly text: string }

/**
 * A trailing backslash goes on; an opening """ goes on until it is closed. The marks themselves are
 * not sent.
 */
export function submitAction(text: string): SubmitAction {
  const opened = text.trimStart()
  if (opened.startsWith(FENCE)) {
    const body = opened.slice(FENCE.length)
    const closed = body.trimEnd()
    if (!closed.endsWith(FENCE)) return { type: "newline", text: `${text}\n` }
    return { type: "send", text: closed.slice(0, -FENCE.length).replace(/^\n|\n$/g, "") }
  }
  if (text.endsWith("\\")) return { type: "newline", text: `${text.slice(0, -1)}\n` }
  return { type: "send", text }
}
