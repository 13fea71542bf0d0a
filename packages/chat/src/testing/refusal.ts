import { RequestError } from "../readers/request-error.ts"

/** The field and the message with which a request is refused. */
export const refusal = (read: () => unknown): { param: string | undefined; message: string } => {
  try {
    read()
  } catch (error) {
    if (error instanceof RequestError) return { param: error.param, message: error.message }
    throw error
  }
  throw new Error("the request was read")
}
