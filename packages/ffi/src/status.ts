// Turns a returned status into an exception, on the line of the call: check("ds4_x",
// symbols.ds4_x(...)).

export interface StatusErrors {
  /** The calling thread's text of the last failure; empty if there is none. */
  readonly lastError: () => string
  /** The error of the package that owns the library. Not called for status 0. */
  readonly error: (status: number, message: string) => Error
}

export type Check = (call: string, status: number) => void

export function statusCheck({ lastError, error }: StatusErrors): Check {
  return (call, status) => {
    if (status === 0) return
    const text = lastError()
    throw error(status, text === "" ? `${call} failed with status ${status}` : text)
  }
}
