import { lstatSync, unlinkSync } from "node:fs"
import { connect } from "node:net"

/**
 * Removes the Unix socket that a killed server left at `path`. A socket that somebody answers on
 * stays, and listening there fails.
 * @throws Error where the path is something else, which is never removed
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket())
    throw new Error("it exists and is not a socket; give another path or remove it")
  if (!(await isAnswered(path))) unlinkSync(path)
}

/** Whether a process listens on the socket. Only a refused connection says that none does. */
async function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const client = connect({ path })
  client.once("connect", () => resolve(true))
  client.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"))
  try {
    return await promise
  } finally {
    client.destroy()
  }
}
