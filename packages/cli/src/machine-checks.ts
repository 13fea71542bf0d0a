import { cpus } from "node:os"
import { formatBytes } from "@ds4/progress"
import type { Check } from "./doctor.ts"
import { fieldOf, isaName, featureName } from "./machine-words.ts"

/** Members of the library's description that have a check of their own elsewhere. */
const TOLD_ELSEWHERE = /^(cuda_|memory_bytes$|available_memory_bytes$)/

type Reading = Omit<Check, "name">

/** How a member of the description reads, and what to do where it leaves something to be wished. */
type Reader = (value: unknown, machine: unknown) => Reading

const plain =
  (title: string): Reader =>
  (value) => ({ title, verdict: "ok", found: valueText(value) })

function names(value: unknown, nameOf: (word: string) => string): string {
  return Array.isArray(value) ? value.map((word) => nameOf(String(word))).join(", ") : ""
}

const kernels: Reader = (value) => {
  const title = "kernels"
  if (value !== "generic") return { title, verdict: "ok", found: isaName(String(value)) }
  return {
    title,
    verdict: "note",
    found: "the plain ones: the CPU shows no AVX2",
    advice:
      "use a CPU with AVX2, or let the virtual machine show it: answers take many times longer",
  }
}

const affinity: Reader = (value) => {
  const [allowed, all] = [Number(value), cpus().length]
  const title = "CPU affinity"
  if (!(allowed < all)) return { title, verdict: "ok", found: `all ${allowed} CPUs` }
  return {
    title,
    verdict: "note",
    found: `${allowed} of ${all} CPUs`,
    advice: `to use all, start ds4 without taskset, and containers without --cpuset-cpus`,
  }
}

const cpuLimit: Reader = (value, machine) => {
  const title = "CPU limit"
  if (typeof value !== "number") return { title, verdict: "ok", found: "none" }
  const found = `the time of ${value === 1 ? "one CPU" : `${value} CPUs`}, by a control group`
  if (value >= Number(fieldOf(machine, "affinity_cpus"))) return { title, verdict: "ok", found }
  return {
    title,
    verdict: "note",
    found,
    advice: "for more speed raise the limit: docker --cpus, CPUQuota of a systemd unit",
  }
}

const READERS: Readonly<Record<string, Reader>> = {
  cpu: plain("processor"),
  features: (value) => ({
    title: "instructions",
    verdict: "ok",
    found: names(value, featureName) || "none beyond SSE2",
  }),
  isa: kernels,
  isas: (value) => ({ title: "kernel sets", verdict: "ok", found: names(value, isaName) }),
  usable_cores: plain("usable cores"),
  affinity_cpus: affinity,
  cgroup_cpus: cpuLimit,
  numa_nodes: plain("NUMA nodes"),
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return "none"
  if (typeof value === "boolean") return value ? "yes" : "no"
  if (Array.isArray(value)) return value.map(valueText).join(", ") || "none"
  if (typeof value === "object") {
    const members = Object.entries(value).map(([name, each]) => `${words(name)} ${valueText(each)}`)
    return members.join(", ") || "none"
  }
  return typeof value === "string" ? value : JSON.stringify(value)
}

const words = (name: string): string => name.replaceAll("_", " ")

/** A member that this program does not know yet, as well as its name and value tell it. */
function unknownReading(name: string, value: unknown): Reading {
  const isBytes = name.endsWith("_bytes") && typeof value === "number"
  return {
    title: words(name.replace(/_bytes$/, "")),
    verdict: "ok",
    found: isBytes ? formatBytes(value) : valueText(value),
  }
}

/** The library's description of this machine: CPU features, kernel set, cores, GPUs. */
export function machineChecks(machine: unknown): Check[] {
  const members = typeof machine === "object" && machine !== null ? Object.entries(machine) : []
  const listed = members
    .filter(([name]) => !TOLD_ELSEWHERE.test(name))
    .map(([name, value]): Check => {
      const reader = READERS[name]
      return { name, ...(reader?.(value, machine) ?? unknownReading(name, value)) }
    })
  return [
    { name: "library", verdict: "ok", found: "loads, and its version fits" },
    ...listed,
    { ...gpuCheck(machine), title: "GPUs" },
  ]
}

function gpuText(device: unknown): string {
  const bytes = Number(fieldOf(device, "memory_bytes"))
  return (
    `${String(fieldOf(device, "name"))} with ${formatBytes(bytes)}, compute capability ` +
    `${String(fieldOf(device, "compute_capability"))}`
  )
}

/** GPUs that NVIDIA's driver shows; nothing runs on them yet, so that none is no problem. */
export function gpuCheck(machine: unknown): Check {
  const devices = fieldOf(machine, "cuda_devices")
  const driver = (
    [
      ["driver", "cuda_driver"],
      ["CUDA", "cuda_version"],
    ] as const
  ).flatMap(([name, member]) => {
    const version = fieldOf(machine, member)
    return typeof version === "string" ? [`${name} ${version}`] : []
  })
  if (Array.isArray(devices) && devices.length > 0)
    return {
      name: "gpus",
      verdict: "ok",
      found: [...devices.map(gpuText), ...driver].join("; "),
    }
  const problem = fieldOf(machine, "cuda_problem")
  const none = typeof problem === "string" ? `none: ${problem}` : "none"
  return {
    name: "gpus",
    verdict: "ok",
    found: [none, ...driver].join("; "),
    advice: "nothing to do: the CPU runs the model",
  }
}
