export { memoryFiles, utf8, type MemoryFile, type MemoryFiles } from "./memory-files.ts"
export { Random } from "./random.ts"
