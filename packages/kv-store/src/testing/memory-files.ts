import { dirname } from "node:path"
import type { FileStatus, FileSystem, InputFile, OutputFile } from "../files/file-system.ts"

export const systemError = (code: string, name: string): Error =>
  Object.assign(new Error(`${code}: ${name}`), { code })

/** A folder in memory. */
export class MemoryFiles implements FileSystem {
  readonly contents = new Map<string, Uint8Array>()
  readonly folders = new Set<string>()
  free = Number.MAX_SAFE_INTEGER
  private clock = 0
  private readonly times = new Map<string, number>()

  private get(name: string): Uint8Array {
    const found = this.contents.get(name)
    if (found === undefined) throw systemError("ENOENT", name)
    return found
  }

  put(name: string, bytes: Uint8Array): void {
    this.contents.set(name, bytes)
    this.times.set(name, ++this.clock)
  }

  async makeFolder(name: string): Promise<void> {
    this.folders.add(name)
  }
  async list(name: string): Promise<string[]> {
    return [...this.contents.keys()]
      .filter((each) => dirname(each) === name)
      .map((each) => each.slice(name.length + 1))
  }
  async stat(name: string): Promise<FileStatus | undefined> {
    const found = this.contents.get(name)
    return found && { bytes: found.length, modified: this.times.get(name) ?? 0 }
  }
  async create(name: string): Promise<OutputFile> {
    if (this.contents.has(name)) throw systemError("EEXIST", name)
    if (!this.folders.has(dirname(name))) throw systemError("ENOENT", name)
    this.put(name, new Uint8Array(0))
    let own = name
    return {
      write: async (bytes, position) => {
        const old = this.get(own)
        const grown = new Uint8Array(Math.max(old.length, position + bytes.length))
        grown.set(old)
        grown.set(bytes, position)
        this.put(own, grown)
      },
      sync: async () => undefined,
      close: async () => void (own = ""),
    }
  }
  async open(name: string): Promise<InputFile> {
    const content = this.get(name)
    return {
      bytes: content.length,
      read: async (target, position) => {
        const part = content.subarray(position, position + target.length)
        target.set(part)
        return part.length
      },
      close: async () => undefined,
    }
  }
  async append(name: string, bytes: Uint8Array): Promise<void> {
    this.put(name, Buffer.concat([this.contents.get(name) ?? new Uint8Array(0), bytes]))
  }
  async rename(from: string, to: string): Promise<void> {
    this.put(to, this.get(from))
    this.contents.delete(from)
  }
  async remove(name: string): Promise<void> {
    this.contents.delete(name)
  }
  async syncFolder(): Promise<void> {}
  async freeBytes(): Promise<number> {
    return this.free
  }
}
