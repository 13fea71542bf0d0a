// Tries mutations of TypeScript files in a copy of the working tree. Packages of the copy see each
// other; installed modules, built libraries and made models are those of the original.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { dirname, join } from "node:path"
import { mutated, type Mutation, type Verdict } from "./mutation.ts"

const TIME_LIMIT_MS = 40_000

function gitFiles(root: string, ...words: string[]): string[] {
  const run = Bun.spawnSync(["git", "-C", root, "ls-files", "-z", ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  if (run.exitCode !== 0) throw new Error(`git lists no files of ${root}`)
  return run.stdout
    .toString()
    .split("\0")
    .filter((path) => path !== "")
}

/** Copies the sources of a checkout; what git ignores is linked. */
function copyTree(root: string, copy: string): void {
  for (const path of gitFiles(root, "--cached", "--others", "--exclude-standard")) {
    if (!existsSync(join(root, path))) continue // deleted and not committed
    mkdirSync(dirname(join(copy, path)), { recursive: true })
    cpSync(join(root, path), join(copy, path))
  }
  const made = gitFiles(
    root,
    "--others",
    "--ignored",
    "--exclude-standard",
    "models",
    "tests/vectors",
  )
  for (const path of ["node_modules", "native/dist", ...made])
    if (existsSync(join(root, path))) symlinkSync(join(root, path), join(copy, path))
  // relative links between packages: they lead to the copies
  const packages = readdirSync(join(root, "packages")).map((name) => join("packages", name))
  for (const folder of [...packages, "native", "scripts", "tests", "examples"]) {
    const modules = join(root, folder, "node_modules")
    if (existsSync(modules))
      cpSync(modules, join(copy, folder, "node_modules"), {
        recursive: true,
        verbatimSymlinks: true,
      })
  }
}

export class TypescriptTrials {
  /**
   * @param root the repository
   * @param copy a folder that does not exist, for the copy
   */
  constructor(
    root: string,
    private readonly copy: string,
  ) {
    mkdirSync(copy, { recursive: true })
    copyTree(root, copy)
  }

  /** Whether a test file passes as it is; undefined if there is none. */
  async passes(_mutation: Mutation, test: string): Promise<boolean | undefined> {
    return existsSync(join(this.copy, test)) ? await this.#runs(test) : undefined
  }

  async try(mutation: Mutation): Promise<Verdict> {
    const path = join(this.copy, mutation.file)
    const source = readFileSync(path, "utf8")
    writeFileSync(path, mutated(mutation, source))
    try {
      for (const test of mutation.tests)
        if (await this.#runs(test))
          return { mutation, outcome: "survived", detail: `${test} passes` }
      return { mutation, outcome: "killed", detail: "" }
    } finally {
      writeFileSync(path, source)
    }
  }

  async #runs(test: string): Promise<boolean> {
    const folder = test.split("/").slice(0, test.startsWith("packages/") ? 2 : 1)
    const child = Bun.spawn([process.execPath, "test", "--bail", join(this.copy, test)], {
      cwd: join(this.copy, ...folder),
      stdio: ["ignore", "ignore", "ignore"],
      timeout: TIME_LIMIT_MS,
      killSignal: "SIGKILL",
    })
    return (await child.exited) === 0
  }
}
