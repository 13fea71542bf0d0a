// Whether a state is worth its place on disk: by the measured rates of reading prompts, of writing
// files and of reading them back.

/** A rate that is measured again and again; the newest measurements count most. */
export class MeasuredRate {
  private value: number | undefined

  /** @param assumed until something has been measured, in units a second */
  constructor(private readonly assumed: number) {}

  get perSecond(): number {
    return this.value ?? this.assumed
  }

  /** Measurements of less than `least` units tell more of the overhead than of the rate. */
  add(units: number, seconds: number, least = 1): void {
    if (units < least || seconds <= 0) return
    const measured = units / seconds
    this.value = this.value === undefined ? measured : 0.7 * this.value + 0.3 * measured
  }
}

export class Worth {
  readonly prefill = new MeasuredRate(100)
  readonly written = new MeasuredRate(3e8)
  readonly read = new MeasuredRate(1e9)

  /** @param leastSeconds reading for less time again is not felt */
  constructor(private readonly leastSeconds = 0.5) {}

  /** @param tokens that need no reading when the state is there */
  isWorthSaving(tokens: number, bytes: number): boolean {
    const spared = tokens / this.prefill.perSecond
    return spared >= this.leastSeconds && spared >= bytes / this.written.perSecond
  }

  /** @param tokens that need no reading when the state is loaded */
  isWorthLoading(tokens: number, bytes: number): boolean {
    return tokens / this.prefill.perSecond > bytes / this.read.perSecond
  }
}
