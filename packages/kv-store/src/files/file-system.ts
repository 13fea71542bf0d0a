/**
 * The operations that a store needs of its folder. Names are relative to it. Tests put a recording
 * or a failing one in place of the disk. Every method may reject with a system call's error.
 */
export interface FileSystem {
  /** Mode 0700. A folder that is there already is no error. */
  makeFolder(name: string): Promise<void>
  /** Names in a folder, in any order; none where it does not exist. */
  list(name: string): Promise<string[]>
  /** Undefined where there is no such file. */
  stat(name: string): Promise<FileStatus | undefined>
  /** A new file of mode 0600. EEXIST where the name is taken. */
  create(name: string): Promise<OutputFile>
  open(name: string): Promise<InputFile>
  /** One write at the end of a file that exists, whole or not at all between processes. */
  append(name: string, bytes: Uint8Array): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** A missing file is no error. */
  remove(name: string): Promise<void>
  /** Makes names that were given and removed in a folder last. */
  syncFolder(name: string): Promise<void>
  /** Bytes that this user may still write. */
  freeBytes(): Promise<number>
}

export interface FileStatus {
  readonly bytes: number
  /** Unix milliseconds. */
  readonly modified: number
}

export interface OutputFile {
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Returns when the content lies on the disk. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface InputFile {
  readonly bytes: number
  /** Fills `target`; fewer bytes than it holds are read at the end of the file alone. */
  read(target: Uint8Array, position: number): Promise<number>
  close(): Promise<void>
}
