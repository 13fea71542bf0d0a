// Configures the CMake tree and builds targets of it into dist/.
import { join } from "node:path"

const TREE = join(import.meta.dir, "..")
/** What runs for users: the libraries, and the benchmark programs that `ds4 bench` starts. */
export const PRODUCTS = ["ds4", "kt_bridge", "matvec_bench", "kt_moe_bench"]
export const TEST_PROGRAMS = ["ds4_tests", "ktb_tests"]

/** What `--sanitize` names, as the compiler calls it. */
export const SANITIZERS = { address: "address,undefined", thread: "thread" } as const
export type Sanitizer = keyof typeof SANITIZERS
/**
 * Build folder of a sanitizer, which also holds its programs and libraries: those in dist/ are not
 * touched.
 */
export const sanitizedFolder = (sanitizer: Sanitizer): string =>
  join(TREE, "build", `sanitize-${sanitizer}`)

/**
 * Builds CMake targets, all of them in one go. Ends the process with the tool's status when a tool
 * fails.
 */
export function buildTargets(targets: readonly string[], sanitizer?: Sanitizer): void {
  for (const tool of ["cmake", "c++"]) {
    if (Bun.which(tool) !== null) continue
    console.error(`native build: ${tool} is not installed (Debian: apt-get install cmake g++)`)
    process.exit(1)
  }
  const generator = Bun.which("ninja") === null ? "Unix Makefiles" : "Ninja"
  const folder =
    sanitizer !== undefined
      ? sanitizedFolder(sanitizer)
      : generator === "Ninja"
        ? "build/ninja"
        : "build/make"
  const sanitize = sanitizer === undefined ? "" : SANITIZERS[sanitizer]
  const commands = [
    [
      "cmake",
      "-S",
      ".",
      "-B",
      folder,
      "-G",
      generator,
      "-DCMAKE_BUILD_TYPE=Release",
      `-DDS4_SANITIZE=${sanitize}`,
    ],
    [
      "cmake",
      "--build",
      folder,
      "--parallel",
      String(navigator.hardwareConcurrency),
      "--target",
      ...targets,
    ],
  ]
  for (const command of commands) {
    const { exitCode } = Bun.spawnSync(command, {
      cwd: TREE,
      stdio: ["ignore", "inherit", "inherit"],
    })
    if (exitCode !== 0) process.exit(exitCode === null ? 1 : exitCode)
  }
}
