// Tries mutations of C++ files. The objects of the last build are linked again with the few that a
// mutation changes, so a trial costs one compilation and one link. Nothing of the build is touched.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { mutated, type Mutation, type Verdict } from "./mutation.ts"

const TIME_LIMIT_MS = 40_000
const NO_SUCH_TEST = 3 // exit status of a test program

/** One row of CMake's compile_commands.json. */
interface Compilation {
  readonly directory: string
  readonly command: string
  readonly file: string
}

/** The object that a compilation writes, relative to its directory. */
const objectOf = (each: Compilation): string => / -o (\S+)/.exec(each.command)?.[1] ?? ""

const pathOf = (each: Compilation): string => resolve(each.directory, objectOf(each))
const isOfTests = (each: Compilation): boolean => /\/(ds4|ktb)_tests\.dir\//.test(objectOf(each))

const PARTS_OF = {
  ds4_tests: ["ds4_tests", "ds4_objects", "ds4_rows"],
  ktb_tests: ["ktb_tests", "ktb_objects", "ds4_rows"],
} as const
type Program = keyof typeof PARTS_OF

const programOf = (mutation: Mutation): Program =>
  mutation.file.startsWith("native/kt_bridge/") ? "ktb_tests" : "ds4_tests"

export class NativeTrials {
  readonly #native: string
  readonly #compilations: readonly Compilation[]
  readonly #included = new Map<string, ReadonlySet<string>>()
  #count = 0

  /**
   * @param root the repository, whose test programs are built
   * @param scratch an empty folder for objects and programs
   */
  constructor(
    private readonly root: string,
    private readonly scratch: string,
  ) {
    this.#native = join(root, "native")
    this.#compilations = this.#readCompilations()
  }

  /** Whether the programs as they are pass a test; undefined if there is no such test. */
  async passes(mutation: Mutation, test: string): Promise<boolean | undefined> {
    return await this.#runs(join(this.#native, "dist", programOf(mutation)), test)
  }

  async try(mutation: Mutation): Promise<Verdict> {
    const folder = join(this.scratch, `native-${this.#count++}`)
    mkdirSync(folder)
    const problem = await this.#build(mutation, folder)
    if (problem !== "") return { mutation, outcome: "invalid", detail: problem }
    symlinkSync(join(this.#native, "dist", "libkt_bridge.so"), join(folder, "libkt_bridge.so"))
    for (const test of mutation.tests)
      if ((await this.#runs(join(folder, "program"), test)) !== false)
        return { mutation, outcome: "survived", detail: `"${test}" passes` }
    return { mutation, outcome: "killed", detail: "" }
  }

  /** Those of the latest build of the test programs; a later one may be of libraries only. */
  #readCompilations(): readonly Compilation[] {
    const age = (path: string): number => Bun.file(path).lastModified
    const latest = ["ninja", "unity-ninja", "make", "unity-make"]
      .map((name) => join(this.#native, "build", name, "compile_commands.json"))
      .filter((path) => existsSync(path))
      .toSorted((a, b) => age(b) - age(a))
      .map((path) => JSON.parse(readFileSync(path, "utf8")) as Compilation[])
      .find((build) => build.every((each) => !isOfTests(each) || existsSync(pathOf(each))))
    if (latest === undefined)
      throw new Error(`${this.#native} has no test programs: run \`bun native/build.ts tests\``)
    return latest
  }

  /** Compiles what the mutation changes and links the program; returns what went wrong, or "". */
  async #build(mutation: Mutation, folder: string): Promise<string> {
    const source = join(this.root, mutation.file)
    const copy = join(folder, "overlay", mutation.file)
    mkdirSync(dirname(copy), { recursive: true })
    writeFileSync(copy, mutated(mutation, readFileSync(source, "utf8")))
    const parts: readonly string[] = PARTS_OF[programOf(mutation)]
    const objects: string[] = []
    let changed = 0
    for (const each of this.#compilations) {
      const part = /CMakeFiles\/(\w+)\.dir\//.exec(objectOf(each))?.[1] ?? ""
      if (!parts.includes(part)) continue
      const object = pathOf(each)
      if (!this.#filesOf(each.file).has(source)) {
        objects.push(object)
        continue
      }
      const own = join(folder, `${changed++}.o`)
      objects.push(own)
      const status = await this.#run(each.directory, this.#command(each, source, folder, own))
      if (status !== 0) return "it does not compile"
    }
    if (changed === 0) return "no object of the test program is made of it"
    const compiler = this.#compilations[0]?.command.split(" ")[0] ?? "c++"
    const program = join(folder, "program")
    const link = `c++ -o '${program}' ${objects.map((path) => `'${path}'`).join(" ")} -pthread -ldl`
    const status = await this.#run(folder, link.replace("c++", compiler))
    return status === 0 ? "" : "it does not link"
  }

  /** The command that compiles with the overlay's file in the place of the mutated one. */
  #command(each: Compilation, source: string, folder: string, object: string): string {
    const overlay = join(folder, "overlay", "native")
    const copy = source.replace(this.#native, overlay)
    let unit = each.file
    if (each.file === source) unit = copy
    else if (source.endsWith(".cc")) {
      unit = join(folder, "unit.cc") // a unity file, which includes sources by path
      writeFileSync(unit, readFileSync(each.file, "utf8").replaceAll(source, copy))
    }
    const includes = ["src", "include", "kt_bridge"].map((name) => `-I'${join(overlay, name)}'`)
    const words = each.command
      .replace(/ -o \S+/, ` -o '${object}'`)
      .replace(/ -M\S*( \S+\.(o|d))?/g, "")
      .replace(/ -c \S+/, ` -c '${unit}'`)
      .split(" ")
    const at = words.findIndex((word) => word.startsWith("-I"))
    return [
      ...words.slice(0, at),
      ...includes,
      ...words.slice(at),
      `-I'${dirname(source)}'`,
      "-w",
    ].join(" ")
  }

  /** The repository's files that one file is made of: itself and what it includes, to any depth. */
  #filesOf(file: string): ReadonlySet<string> {
    const known = this.#included.get(file)
    if (known !== undefined) return known
    const files = new Set([file])
    this.#included.set(file, files)
    for (const [, name = ""] of readFileSync(file, "utf8").matchAll(/^#include "([^"]+)"/gm)) {
      const found = [dirname(file), "src", "include", "kt_bridge", "bench"]
        .map((folder) => resolve(this.#native, folder, name))
        .find((path) => existsSync(path))
      if (found !== undefined) for (const each of this.#filesOf(found)) files.add(each)
    }
    return files
  }

  async #run(directory: string, command: string): Promise<number> {
    const child = Bun.spawn(["sh", "-c", command], {
      cwd: directory,
      stdio: ["ignore", "ignore", "ignore"],
    })
    return await child.exited
  }

  /** Whether a program passes one test; a program that hangs or crashes does not. */
  async #runs(program: string, test: string): Promise<boolean | undefined> {
    const child = Bun.spawn([program, "--only", test], {
      stdio: ["ignore", "ignore", "ignore"],
      timeout: TIME_LIMIT_MS,
      killSignal: "SIGKILL",
    })
    const status = await child.exited
    return status === NO_SUCH_TEST ? undefined : status === 0
  }
}
