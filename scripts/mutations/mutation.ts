// A mutation is a fault put into one file on purpose, with the tests that must notice it. One that
// survives shows what no test holds.

export interface Mutation {
  /** The wrong behaviour, as a sentence without a full stop. */
  readonly name: string
  /** Path of the mutated file in the repository. */
  readonly file: string
  /** Text of the file that occurs exactly once. */
  readonly find: string
  readonly replace: string
  /**
   * Tests that must fail, each of them. For C++ parts of test sentences, as `--only` takes them;
   * for TypeScript paths of test files.
   */
  readonly tests: readonly string[]
}

/** The result of one mutation. Only `killed` is good. */
export interface Verdict {
  readonly mutation: Mutation
  readonly outcome: "killed" | "survived" | "invalid"
  /** Which test did not notice it, or why it could not be tried. */
  readonly detail: string
}

export const isNative = (mutation: Mutation): boolean => mutation.file.startsWith("native/")

/** The mutated source. Throws an `Error` when the row no longer fits the file. */
export function mutated(mutation: Mutation, source: string): string {
  const first = source.indexOf(mutation.find)
  if (first < 0) throw new Error(`${mutation.file} no longer has ${JSON.stringify(mutation.find)}`)
  if (source.includes(mutation.find, first + 1))
    throw new Error(`${mutation.file} has ${JSON.stringify(mutation.find)} more than once`)
  if (mutation.find === mutation.replace) throw new Error("the replacement changes nothing")
  return source.slice(0, first) + mutation.replace + source.slice(first + mutation.find.length)
}
