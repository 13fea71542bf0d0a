// The server's settings as the routes read them; main.ts makes them from flags.
import type { AccessRules } from "./http/guards.ts"
import type { AdmissionLimits } from "./serving/request-registry.ts"
import type { GenerationTiming } from "./serving/generation.ts"

export interface AnswerDefaults {
  /** Output limit where a request names none. */
  maxTokens: number
  isThinking: boolean
  effort: "low" | "high" | "max" | undefined
  reasoningBudget: number | undefined
  /** Go on with a session that holds earlier thinking which the prompt leaves out. */
  keepsReasoning: boolean
  template: "reference" | "compat"
  strictTools: boolean
  /** Decode tool syntax greedily. */
  toolZones: boolean
  strictModel: boolean
}

export interface ServerSettings {
  access: AccessRules
  /** Largest request body in bytes. */
  maxBodyBytes: number
  admission: AdmissionLimits
  timing: GenerationTiming & { stallMs: number }
  answers: AnswerDefaults
  toolMemoryMaxIds: number
}

/** Settings as the flags' defaults make them. */
export const DEFAULT_SETTINGS: ServerSettings = {
  access: {
    apiKey: undefined,
    isLoopback: true,
    allowedHosts: [],
    corsAnyOrigin: false,
    corsOrigins: [],
  },
  maxBodyBytes: 67_108_864,
  admission: { parallel: 4, maxQueue: 64 },
  timing: { keepAliveMs: 5000, frameIntervalMs: 8, stallMs: 30_000 },
  answers: {
    maxTokens: 393_216,
    isThinking: true,
    effort: undefined,
    reasoningBudget: undefined,
    keepsReasoning: true,
    template: "reference",
    strictTools: false,
    toolZones: true,
    strictModel: false,
  },
  toolMemoryMaxIds: 100_000,
}
