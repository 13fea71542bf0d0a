import { dirname } from "node:path"
import type { FileStatus, FileSystem, InputFile, OutputFile } from "../files/file-system.ts"
import { MemoryFiles } from "./memory-files.ts"

/** An operation as a disk sees it; `file` is a number as an inode's, "mark" the test's own. */
export type DiskOperation =
  | { readonly kind: "create"; readonly name: string; readonly file: number }
  | {
      readonly kind: "write"
      readonly file: number
      readonly bytes: Uint8Array
      readonly position: number
    }
  | { readonly kind: "sync"; readonly file: number }
  | { readonly kind: "append"; readonly name: string; readonly bytes: Uint8Array }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "syncFolder"; readonly name: string }
  | { readonly kind: "mark"; readonly text: string }

/** A folder in memory that keeps a list of everything that was done to it. */
export class RecordingFiles implements FileSystem {
  readonly memory = new MemoryFiles()
  readonly operations: DiskOperation[] = []
  private files = 0

  mark(text: string): void {
    this.operations.push({ kind: "mark", text })
  }
  makeFolder(name: string): Promise<void> {
    return this.memory.makeFolder(name)
  }
  list(name: string): Promise<string[]> {
    return this.memory.list(name)
  }
  stat(name: string): Promise<FileStatus | undefined> {
    return this.memory.stat(name)
  }
  open(name: string): Promise<InputFile> {
    return this.memory.open(name)
  }
  freeBytes(): Promise<number> {
    return this.memory.freeBytes()
  }
  async create(name: string): Promise<OutputFile> {
    const output = await this.memory.create(name)
    const file = ++this.files
    this.operations.push({ kind: "create", name, file })
    return {
      write: (bytes, position) => {
        this.operations.push({ kind: "write", file, bytes: bytes.slice(), position })
        return output.write(bytes, position)
      },
      sync: async () => void this.operations.push({ kind: "sync", file }),
      close: () => output.close(),
    }
  }
  append(name: string, bytes: Uint8Array): Promise<void> {
    this.operations.push({ kind: "append", name, bytes: bytes.slice() })
    return this.memory.append(name, bytes)
  }
  rename(from: string, to: string): Promise<void> {
    this.operations.push({ kind: "rename", from, to })
    return this.memory.rename(from, to)
  }
  remove(name: string): Promise<void> {
    this.operations.push({ kind: "remove", name })
    return this.memory.remove(name)
  }
  async syncFolder(name: string): Promise<void> {
    this.operations.push({ kind: "syncFolder", name })
  }
}

interface Inode {
  content: Uint8Array
  /** The content at its last sync. */
  synced: Uint8Array
}

type NameChange = Extract<DiskOperation, { kind: "create" | "rename" | "remove" }>

/** How much of what was not synced a power cut leaves. */
export interface PowerCut {
  /** Whether a change of names that no sync of its folder made last is there all the same. */
  keepsName(): boolean
  /** The content of a file, of which only a part may have been synced. */
  contentOf(synced: Uint8Array, written: Uint8Array): Uint8Array
}

function changedBytes(old: Uint8Array, bytes: Uint8Array, position: number): Uint8Array {
  const grown = new Uint8Array(Math.max(old.length, position + bytes.length))
  grown.set(old)
  grown.set(bytes, position)
  return grown
}

/** A disk that takes operations in their order, and can lose its power at any time. */
export class PowerlessDisk {
  private readonly inodes = new Map<number, Inode>()
  /** Names as the running system sees them, and as they are for good. */
  private readonly live = new Map<string, number>()
  private readonly lasting = new Map<string, number>()
  private pending: { change: NameChange; folder: string; file: number | undefined }[] = []

  private inode(file: number): Inode {
    let inode = this.inodes.get(file)
    if (inode === undefined) {
      inode = { content: new Uint8Array(0), synced: new Uint8Array(0) }
      this.inodes.set(file, inode)
    }
    return inode
  }

  private static rename(
    names: Map<string, number>,
    change: NameChange,
    file: number | undefined,
  ): void {
    if (change.kind === "create" && file !== undefined) names.set(change.name, file)
    if (change.kind === "remove") names.delete(change.name)
    if (change.kind === "rename" && file !== undefined) {
      names.delete(change.from)
      names.set(change.to, file)
    }
  }

  private changeNames(change: NameChange): void {
    const name = change.kind === "rename" ? change.to : change.name
    const file =
      change.kind === "create"
        ? change.file
        : this.live.get(change.kind === "rename" ? change.from : change.name)
    PowerlessDisk.rename(this.live, change, file)
    this.pending.push({ change, folder: dirname(name), file })
  }

  apply(operation: DiskOperation): void {
    switch (operation.kind) {
      case "create":
      case "rename":
      case "remove":
        return this.changeNames(operation)
      case "write": {
        const inode = this.inode(operation.file)
        inode.content = changedBytes(inode.content, operation.bytes, operation.position)
        return
      }
      case "append": {
        const inode = this.inode(this.live.get(operation.name) ?? -1)
        inode.content = changedBytes(inode.content, operation.bytes, inode.content.length)
        return
      }
      case "sync": {
        const inode = this.inode(operation.file)
        inode.synced = inode.content
        return
      }
      case "syncFolder": {
        for (const each of this.pending)
          if (each.folder === operation.name)
            PowerlessDisk.rename(this.lasting, each.change, each.file)
        this.pending = this.pending.filter(({ folder }) => folder !== operation.name)
      }
    }
  }

  /** The folder after a power cut now. */
  cut(how: PowerCut): MemoryFiles {
    const names = new Map(this.lasting)
    for (const { change, file } of this.pending)
      if (how.keepsName()) PowerlessDisk.rename(names, change, file)
    const files = new MemoryFiles()
    for (const [name, file] of names) {
      const { synced, content } = this.inode(file)
      files.put(name, synced === content ? content : how.contentOf(synced, content))
    }
    return files
  }
}
