import type { FileStatus, FileSystem, InputFile, OutputFile } from "../files/file-system.ts"
import { systemError } from "./memory-files.ts"

/** Another folder whose operation of a number, counted from `arm`, fails; and all after it. */
export class FailingFiles implements FileSystem {
  private left = Infinity
  private code = ""
  /** Operations since the last `arm`. */
  count = 0

  constructor(private readonly files: FileSystem) {}

  /** After so many more operations all fail with this code. */
  arm(operations: number, code: string): void {
    this.left = operations
    this.code = code
    this.count = 0
  }
  disarm(): void {
    this.left = Infinity
  }

  private step<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.count++
    if (this.left <= 0) return Promise.reject(systemError(this.code, name))
    this.left--
    return work()
  }

  makeFolder(name: string): Promise<void> {
    return this.step(name, () => this.files.makeFolder(name))
  }
  list(name: string): Promise<string[]> {
    return this.step(name, () => this.files.list(name))
  }
  stat(name: string): Promise<FileStatus | undefined> {
    return this.step(name, () => this.files.stat(name))
  }
  open(name: string): Promise<InputFile> {
    return this.step(name, () => this.files.open(name))
  }
  async create(name: string): Promise<OutputFile> {
    const output = await this.step(name, () => this.files.create(name))
    return {
      write: (bytes, position) => this.step(name, () => output.write(bytes, position)),
      sync: () => this.step(name, () => output.sync()),
      close: () => output.close(),
    }
  }
  append(name: string, bytes: Uint8Array): Promise<void> {
    return this.step(name, () => this.files.append(name, bytes))
  }
  rename(from: string, to: string): Promise<void> {
    return this.step(name(from, to), () => this.files.rename(from, to))
  }
  /** A full disk still removes files. */
  remove(name: string): Promise<void> {
    return this.files.remove(name)
  }
  syncFolder(name: string): Promise<void> {
    return this.step(name, () => this.files.syncFolder(name))
  }
  freeBytes(): Promise<number> {
    return this.step("free space", () => this.files.freeBytes())
  }
}

const name = (from: string, to: string): string => `${from} to ${to}`
