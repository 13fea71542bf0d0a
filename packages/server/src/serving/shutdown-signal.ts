/**
 * Resolves at the first SIGINT, SIGTERM or SIGHUP, or when the process that started this one is
 * gone. The second signal ends this process with `exitCode`.
 */
export function shutdownSignal(exitCode: number): Promise<undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  let count = 0
  const onSignal = () => {
    if (++count > 1) process.exit(exitCode)
    resolve(undefined)
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  process.on("SIGHUP", onSignal)
  process.on("disconnect", () => resolve(undefined))
  return promise
}
