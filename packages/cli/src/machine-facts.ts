import { readFileSync } from "node:fs"
import { availableParallelism, cpus, freemem, totalmem } from "node:os"

/** What a measurement depends on besides the program. */
export interface MachineFacts {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly availableBytes: number
  readonly kernel: string
}

function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return "" // not Linux, or hidden by a container
  }
}

/** Memory that can be had without swapping. */
function availableBytes(): number {
  const kib = /^MemAvailable:\s+(\d+) kB/m.exec(readProc("/proc/meminfo"))?.[1]
  return kib === undefined ? freemem() : Number(kib) * 1024
}

/** Facts of this machine that need no library. */
export function machineFacts(): MachineFacts {
  return {
    cpu: cpus()[0]?.model ?? process.arch,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    availableBytes: availableBytes(),
    kernel: readProc("/proc/sys/kernel/osrelease").trim() || process.platform,
  }
}
