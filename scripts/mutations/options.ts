// The command line of scripts/mutations.ts.

const USAGE = `usage: bun scripts/mutations.ts [--changed [--since COMMIT]] [--only TEXT]
                                [--seconds N]
  --changed  only mutations of files, or of tests, that changed
  --since    the commit to compare with; default: the merge base with the default branch, and on
             that branch itself the commit 10 commits ago
  --only     only mutations whose file or name contains TEXT
  --seconds  begin none after so many seconds; default: no limit
The native test programs must be built: bun native/build.ts libraries tests`

export interface Options {
  readonly isChangedOnly: boolean
  readonly since: string | undefined
  readonly only: string
  readonly seconds: number
}

/** Ends the process with the usage for words that it does not know. */
export function parseOptions(words: readonly string[]): Options {
  let isChangedOnly = false
  let since: string | undefined
  let only = ""
  let seconds = Infinity
  for (let at = 0; at < words.length; at++) {
    const value = words[at + 1]
    if (words[at] === "--changed") isChangedOnly = true
    else if (words[at] === "--since" && value !== undefined) since = words[++at]
    else if (words[at] === "--only" && value !== undefined) only = words[++at] ?? ""
    else if (words[at] === "--seconds" && Number(value) > 0) seconds = Number(words[++at])
    else {
      console.error(USAGE)
      process.exit(2)
    }
  }
  return { isChangedOnly, since, only, seconds }
}
