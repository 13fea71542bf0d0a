/** Lets other work of this thread run: timers and what has come from sockets and files. */
export const breath = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
