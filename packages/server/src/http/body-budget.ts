import { ApiError } from "./api-error.ts"

/** Bodies of the largest size that may be in memory at once, before they are parsed. */
const LARGEST_BODIES = 4

/** Bounds the memory of all bodies that are being read. */
export class BodyBudget {
  private usedBytes = 0
  private readonly limitBytes: number

  constructor(maxBodyBytes: number) {
    this.limitBytes = LARGEST_BODIES * maxBodyBytes
  }

  /** Room for one body; it grows as bytes arrive and is given back at the end. */
  open(): BodyShare {
    let share = 0
    return {
      add: (bytes) => {
        if (this.usedBytes + bytes > this.limitBytes) throw this.refusal()
        share += bytes
        this.usedBytes += bytes
      },
      [Symbol.dispose]: () => {
        this.usedBytes -= share
        share = 0
      },
    }
  }

  private refusal(): ApiError {
    return new ApiError(
      "RATE_LIMITED",
      `request bodies of ${this.limitBytes} bytes are being read already; try again later`,
      { reason: "bodies_full", headers: { "retry-after": "2" } },
    )
  }
}

export interface BodyShare extends Disposable {
  /** @throws ApiError 429 where all bodies together would be too large */
  add(bytes: number): void
}
