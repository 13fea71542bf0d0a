// A process that holds the lock of a folder until it is killed.
// Usage: bun hold-lock.ts FOLDER read|write|alone
import { FlockLock } from "../lock/flock.ts"

const [folder = "", mode] = Bun.argv.slice(2)
if (mode !== "read" && mode !== "write" && mode !== "alone") throw new Error(`mode ${mode}`)
const held = await new FlockLock(folder).acquire(mode, 5000)
if (held === undefined) throw new Error("another process holds the lock")
process.stdout.write("held\n")
await Bun.sleep(60_000)
