// ds4_engine_options of an EngineOptions.
import { ptr } from "bun:ffi"
import { cString } from "@ds4/ffi"
import {
  BACKEND,
  ENGINE_OPTIONS,
  EXPERT_NUMERICS,
  EXPERTS,
  ISA,
  NUMERICS,
  SWITCHES,
} from "../symbols.ts"
import type { EngineOptions, EngineSwitches } from "../types.ts"
import { steadyBytes } from "./background.ts"

/** The memory that a struct points at lives as long as the struct. */
const pointedAt = new WeakMap<Uint8Array, readonly (Uint8Array | undefined)[]>()

/** ds4_engine_options in memory that does not move. */
export function optionsMemory(
  options: EngineOptions,
  progress?: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const { experts = {} } = options
  const library =
    experts.libraryPath === undefined ? undefined : steadyBytes(cString(experts.libraryPath))
  const memory = steadyBytes(
    ENGINE_OPTIONS.create({
      backend: BACKEND[options.backend ?? "auto"],
      numerics: NUMERICS[options.numerics ?? "fast"],
      isa: ISA[options.isa ?? "auto"],
      switches: switchBits(options.switches ?? {}),
      threads: options.threads ?? 0,
      max_step_tokens: options.maxStepTokens ?? 0,
      experts: EXPERTS[experts.place ?? "auto"],
      expert_numerics: EXPERT_NUMERICS[experts.numerics ?? "auto"],
      expert_threads: experts.threads ?? 0,
      expert_parts: experts.parts ?? 0,
      expert_layers: experts.layers ?? 0,
      session_tokens: options.contextTokens ?? 0,
      ...(progress === undefined ? {} : { progress: ptr(progress) }),
      ...(library === undefined ? {} : { expert_library: ptr(library) }),
    }),
  )
  pointedAt.set(memory, [progress, library])
  return memory
}

function switchBits(switches: EngineSwitches): number {
  let bits = 0
  for (const [name, bit] of Object.entries(SWITCHES))
    if (switches[name as keyof EngineSwitches] === true) bits |= bit
  return bits
}
