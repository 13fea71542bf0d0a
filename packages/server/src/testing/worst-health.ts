/** The longest time that /health took while `work` ran. */
export async function worstHealth(url: string, work: Promise<unknown>): Promise<number> {
  let isRunning = true
  void work.finally(() => (isRunning = false))
  let worstMs = 0
  while (isRunning) {
    const begin = performance.now()
    await (await fetch(`${url}/health`)).text()
    worstMs = Math.max(worstMs, performance.now() - begin)
    await Bun.sleep(2)
  }
  return worstMs
}
