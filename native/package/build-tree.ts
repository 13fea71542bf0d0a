// Configures the CMake tree and builds targets of it into dist/.
import { existsSync, realpathSync } from "node:fs"
import { join } from "node:path"
import { BuildProgress } from "./build-progress.ts"

const TREE = join(import.meta.dir, "..")

/** Programs and libraries that are built together, by what they are for. */
const TARGETS = {
  libraries: ["ds4", "kt_bridge"],
  benchmarks: ["matvec_bench", "kt_moe_bench", "engine_bench"],
  tests: ["ds4_tests", "ktb_tests", "gpu_tests", "ds4_emulated"],
  /** For a machine with a GPU; they need nvcc. */
  cuda: ["ds4", "kt_bridge", "cuda_tests", "engine_bench"],
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

const CUDA_FOLDERS = ["/usr/local/cuda/bin", "/opt/cuda/bin"] as const

/** nvcc, where it is: on PATH, or where its installer leaves it. */
function findNvcc(): string | undefined {
  const names = [process.env.CUDACXX, "nvcc", ...CUDA_FOLDERS.map((folder) => `${folder}/nvcc`)]
  for (const name of names) {
    const found = name === undefined ? null : Bun.which(name)
    if (found !== null) return realpathSync(found) // through a link it does not find its headers
  }
  return undefined
}

/**
 * Settings for the CUDA backend. DS4_CUDA says ON or OFF; without it the backend is built where
 * nvcc and a driver are, for this machine's GPUs. DS4_CUDA_ARCHITECTURES names others: "80;90a".
 */
function cudaSettings(isWanted: boolean): string[] {
  const asked = process.env.DS4_CUDA ?? ""
  const nvcc = findNvcc()
  const hasDriver = existsSync("/proc/driver/nvidia/version")
  if (asked === "OFF" || (asked !== "ON" && !isWanted && (nvcc === undefined || !hasDriver)))
    return ["-DDS4_CUDA=OFF"]
  if (nvcc === undefined) {
    console.error(
      "native build: nvcc is not installed; install the CUDA toolkit, or set DS4_CUDA=OFF",
    )
    process.exit(1)
  }
  const architectures = process.env.DS4_CUDA_ARCHITECTURES ?? presentArchitectures() ?? "90a"
  return [
    "-DDS4_CUDA=ON",
    `-DCMAKE_CUDA_COMPILER=${nvcc}`,
    `-DDS4_CUDA_ARCHITECTURES=${architectures}`,
  ]
}

/** Architectures of this machine's GPUs, as nvcc names them: "90a", "86;89". */
function presentArchitectures(): string | undefined {
  if (Bun.which("nvidia-smi") === null) return undefined
  const query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
  const { stdout, exitCode } = Bun.spawnSync(query)
  const found = stdout.toString().match(/\d+\.\d+/g)
  if (exitCode !== 0 || found === null) return undefined
  const names = found.map((version) => architectureName(Number(version.replace(".", ""))))
  return [...new Set(names)].join(";")
}

/** From 9.0 on the forms of one architecture are used, which carry an "a". */
const architectureName = (version: number): string => (version >= 90 ? `${version}a` : `${version}`)

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
    ...cudaSettings(groups.includes("cuda")),
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
