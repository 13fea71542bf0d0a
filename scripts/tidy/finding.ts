/** One broken rule. */
export interface Finding {
  /** Name of the check, as exemptions use it. */
  readonly check: string
  /** Relative to the root, with forward slashes. */
  readonly path: string
  readonly line: number
  readonly message: string
}

/** A file that the checks look at. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** Number of the line, from 1, that an index lies in. */
export function lineAt(text: string, index: number): number {
  let line = 1
  for (let at = text.indexOf("\n"); at !== -1 && at < index; at = text.indexOf("\n", at + 1))
    line += 1
  return line
}
