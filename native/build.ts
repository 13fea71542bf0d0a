// Configures and builds the native tree into dist/. CUDA is decided here and nowhere else: DS4_CUDA=OFF never,
// DS4_CUDA=ON always (and fails without nvcc), unset: when nvcc is on PATH.
import { rmSync } from "node:fs"
import { dirname, join } from "node:path"

const here = import.meta.dir
const nvcc = process.env.CUDACXX ?? Bun.which("nvcc") ?? undefined
const wantsCuda = process.env.DS4_CUDA !== "OFF" && (process.env.DS4_CUDA === "ON" || nvcc !== undefined)
const environment = { ...process.env }
if (wantsCuda && nvcc !== undefined) {
  // nvcc reached through a bare symbolic link does not find its own headers
  const real = (await Bun.$`readlink -f ${nvcc}`.text()).trim()
  environment.CUDACXX = real
  environment.PATH = `${dirname(real)}:${process.env.PATH ?? ""}`
}

const run = (command: string[]) => {
  const result = Bun.spawnSync(command, { cwd: here, env: environment, stdio: ["ignore", "inherit", "inherit"] })
  if (result.exitCode !== 0) process.exit(result.exitCode ?? 1)
}

for (const tool of ["cmake", "c++"]) {
  if (Bun.which(tool) === null) {
    console.error(`native build: ${tool} is not installed (Debian: apt-get install cmake g++)`)
    process.exit(1)
  }
}
const generator = Bun.which("ninja") === null ? "Unix Makefiles" : "Ninja"
rmSync(join(here, "dist"), { recursive: true, force: true })
run(["cmake", "-S", ".", "-B", `build/${generator === "Ninja" ? "ninja" : "make"}`, "-G", generator,
  "-DCMAKE_BUILD_TYPE=Release", `-DDS4_CUDA=${wantsCuda ? "ON" : "OFF"}`])
run(["cmake", "--build", `build/${generator === "Ninja" ? "ninja" : "make"}`, "--parallel"])
