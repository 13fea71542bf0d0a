import type { EngineOptions } from "@ds4/engine"
import type { OPTIONS } from "@ds4/options"

type SwitchName = (typeof OPTIONS)["leave-out"]["choices"][number]

const SWITCH: Readonly<Record<SwitchName, keyof NonNullable<EngineOptions["switches"]>>> = {
  "kv-rounding": "noKvRounding",
  "index-rounding": "noIndexRounding",
  "shared-clamp": "noSharedClamp",
  "fast-activations": "f32Activations",
}

function isSwitchName(name: string): name is SwitchName {
  return Object.hasOwn(SWITCH, name)
}

/**
 * The engine's switches for the names given to --leave-out, which the flag's reader has checked.
 */
export function engineSwitches(names: readonly string[]): NonNullable<EngineOptions["switches"]> {
  return Object.fromEntries(names.filter(isSwitchName).map((name) => [SWITCH[name], true]))
}
