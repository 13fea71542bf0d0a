import type { CheckpointListing, KvStore } from "@ds4/kv-store"
import { formatBytes } from "@ds4/progress"
import { defineCommand } from "../command.ts"
import { EXIT, type ExitCode, usageError } from "../errors.ts"
import type { Io } from "../io.ts"
import { checkpointNamed, folderOf, openKvFolder } from "../kv/kv-folder.ts"
import { kvTable } from "../kv/kv-table.ts"

/** One folder, opened for one action. */
interface KvWork {
  readonly folder: string
  /** Undefined: nothing was ever saved there. */
  readonly store: KvStore | undefined
  readonly names: readonly string[]
  readonly isJson: boolean
  readonly io: Io
}

type Action = (work: KvWork) => Promise<ExitCode>

function report(io: Io, schema: string, facts: Readonly<Record<string, unknown>>): void {
  io.out(`${JSON.stringify({ schema, ...facts }, undefined, 2)}\n`)
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

/** Without a model nothing can be said of whether it is usable. */
function jsonOf({ created, lastUsed, ...rest }: CheckpointListing): object {
  const time = (each: number | undefined): string | null =>
    each === undefined ? null : new Date(each).toISOString()
  return { ...rest, isUsable: undefined, created: time(created), lastUsed: time(lastUsed) }
}

const list: Action = async ({ folder, store, isJson, io }) => {
  const checkpoints = store?.list() ?? []
  const bytes = store?.stats.bytes ?? 0
  if (isJson) report(io, "ds4.kv-ls/1", { folder, bytes, checkpoints: checkpoints.map(jsonOf) })
  else {
    if (checkpoints.length > 0)
      for (const line of kvTable(checkpoints, Date.now(), io.columns())) io.out(`${line}\n`)
    io.err(`${counted(checkpoints.length, "checkpoint")}, ${formatBytes(bytes)} in ${folder}\n`)
  }
  return EXIT.done
}

const remove: Action = async ({ store, names, isJson, io }) => {
  if (names.length === 0) throw usageError("say which: ds4 kv rm KEY… (ds4 kv ls shows keys)")
  const checkpoints = store?.list() ?? []
  const keys = new Set(names.map((name) => checkpointNamed(name, checkpoints).key))
  const before = store?.stats.bytes ?? 0
  for (const key of keys) await store?.remove(key)
  const bytes = before - (store?.stats.bytes ?? 0)
  if (isJson) report(io, "ds4.kv-rm/1", { removed: [...keys], bytes })
  else io.out(`removed ${counted(keys.size, "checkpoint")}, ${formatBytes(bytes)}\n`)
  return EXIT.done
}

const verify: Action = async ({ store, isJson, io }) => {
  const { files, bytes, damaged } = (await store?.verify()) ?? { files: 0, bytes: 0, damaged: [] }
  const isSound = damaged.length === 0
  if (isJson) report(io, "ds4.kv-verify/1", { ok: isSound, files, bytes, damaged })
  else {
    for (const { file, problem } of damaged) io.out(`${file}: ${problem}\n`)
    io.out(
      isSound
        ? `${counted(files, "file")} in order, ${formatBytes(bytes)}\n`
        : `${damaged.length} of ${counted(files, "file")} damaged; no prompt continues from them\n`,
    )
  }
  return isSound ? EXIT.done : EXIT.failed
}

const collect: Action = async ({ store, isJson, io }) => {
  const { files, bytes } = (await store?.gc()) ?? { files: 0, bytes: 0 }
  const kept = store?.stats.bytes ?? 0
  if (isJson) report(io, "ds4.kv-gc/1", { files, bytes, keptBytes: kept })
  else
    io.out(
      `freed ${formatBytes(bytes)}; ${counted(files, "file")} had no use; ` +
        `${formatBytes(kept)} stay\n`,
    )
  return EXIT.done
}

const ACTIONS: ReadonlyMap<string, Action> = new Map([
  ["ls", list],
  ["rm", remove],
  ["verify", verify],
  ["gc", collect],
])

export const kv = defineCommand({
  name: "kv",
  usage: "ls | rm KEY… | verify | gc",
  summary: "shows and tidies the states of conversations that the server keeps on disk",
  details:
    "ls lists them; rm removes some, by key, first characters of a key, or label.\n" +
    "verify reads every file and moves damaged ones to quarantine (exit 1).\n" +
    "gc removes files that nothing needs. No model is loaded; a server may use the folder.",
  examples: ["ds4 kv ls", "ds4 kv rm 3f9a61c0 notes", "ds4 kv gc --kv-disk-space-mb 4096"],
  maxPositionals: 1000,
  words: [...ACTIONS.keys()],
  run: async ({ flags, io, positionals: [word = "ls", ...names] }) => {
    const action = ACTIONS.get(word)
    if (action === undefined)
      throw usageError(`there is no ds4 kv ${word}; say ls, rm, verify or gc`)
    if (action !== remove && names.length > 0)
      throw usageError(`unexpected argument "${names[0]}" (ds4 kv --help)`)
    const folder = folderOf(flags["kv-disk-dir"], io.environment)
    const mib = flags["kv-disk-space-mb"]
    const budget = mib === undefined || action !== collect ? Infinity : mib * 2 ** 20
    const store = await openKvFolder(folder, budget, (line) => io.err(`${line}\n`))
    try {
      return await action({ folder, store, names, isJson: flags.json, io })
    } finally {
      await store?.close()
    }
  },
})
