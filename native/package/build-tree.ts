// Configures the CMake tree and builds targets of it into dist/.
import { join } from "node:path"
import { BuildProgress } from "./build-progress.ts"

const TREE = join(import.meta.dir, "..")

/** Programs and libraries that are built together, by what they are for. */
const TARGETS = {
  libraries: ["ds4", "kt_bridge"],
  benchmarks: ["matvec_bench", "kt_moe_bench", "engine_bench"],
  tests: ["ds4_tests", "ktb_tests"],
} as const
type TargetGroup = keyof typeof TARGETS

export const isTargetGroup = (name: string): name is TargetGroup => Object.hasOwn(TARGETS, name)

/** Sanitizers by the names that --sanitize takes, as the compiler calls them. */
export const SANITIZERS = { address: "address,undefined", thread: "thread" } as const
export type Sanitizer = keyof typeof SANITIZERS

/**
 * Build folder of a sanitizer, which also holds its programs and libraries: those in dist/ are not
 * touched.
 */
export const sanitizedFolder = (sanitizer: Sanitizer): string =>
  join(TREE, "build", `sanitize-${sanitizer}`)

/** The commands that configure the tree and build groups of targets. */
function commandsOf(groups: readonly TargetGroup[], sanitizer: Sanitizer | undefined): string[][] {
  const hasNinja = Bun.which("ninja") !== null
  // A compiler cache knows files, not folders; sanitized builds show what a file forgot to include.
  const isUnity = sanitizer === undefined && (process.env.CMAKE_CXX_COMPILER_LAUNCHER ?? "") === ""
  const plain = `build/${isUnity ? "unity-" : ""}${hasNinja ? "ninja" : "make"}`
  const folder = sanitizer === undefined ? plain : sanitizedFolder(sanitizer)
  const sanitize = sanitizer === undefined ? "" : SANITIZERS[sanitizer]
  const settings = [
    "-DCMAKE_BUILD_TYPE=Release",
    `-DDS4_UNITY=${isUnity ? "ON" : "OFF"}`,
    `-DDS4_SANITIZE=${sanitize}`,
  ]
  const targets = groups.flatMap((group) => TARGETS[group])
  const jobs = String(navigator.hardwareConcurrency)
  return [
    ["cmake", "-S", ".", "-B", folder, "-G", hasNinja ? "Ninja" : "Unix Makefiles", ...settings],
    ["cmake", "--build", folder, "--parallel", jobs, "--target", ...targets],
  ]
}

/** Runs a command, its output into the progress; returns its exit status. */
async function run(command: string[], progress: BuildProgress): Promise<number> {
  const child = Bun.spawn(command, { cwd: TREE, stdio: ["ignore", "pipe", "pipe"] })
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder()
    for await (const bytes of stream) progress.push(decoder.decode(bytes, { stream: true }))
  }
  await Promise.all([read(child.stdout), read(child.stderr)])
  return await child.exited
}

/**
 * Builds groups of targets. When a tool fails, prints its messages and ends the process with its
 * status.
 */
export async function buildTargets(
  groups: readonly TargetGroup[],
  sanitizer?: Sanitizer,
): Promise<void> {
  for (const tool of ["cmake", "c++"]) {
    if (Bun.which(tool) !== null) continue
    console.error(`native build: ${tool} is not installed (Debian: apt-get install cmake g++)`)
    process.exit(1)
  }
  const progress = new BuildProgress(`building the native ${groups.join(" and ")}`)
  const timer = setInterval(() => progress.tick(), 1000)
  for (const command of commandsOf(groups, sanitizer)) {
    const status = await run(command, progress)
    if (status === 0) continue
    clearInterval(timer)
    progress.end(false)
    console.error(`${progress.messages.join("\n")}\nnative build: ${command.join(" ")} failed`)
    process.exit(status)
  }
  clearInterval(timer)
  progress.end(true)
}
