// The server's settings as the routes read them.
import { hostname } from "node:os"
import { join } from "node:path"
import type { Effort } from "@ds4/chat"
import type { CommandOptions } from "@ds4/options"
import { type AccessRules, isLoopbackAddress } from "./http/guards.ts"
import type { AdmissionLimits } from "./serving/request-registry.ts"
import type { GenerationTiming } from "./serving/generation.ts"
import { kvDiskFolder } from "./serving/kv-disk.ts"
import type { StoredResponseLimits } from "./stored-responses/response-store.ts"

export type ServeOptions = CommandOptions<"serve">

export interface AnswerDefaults {
  /** Output limit where a request names none. */
  maxTokens: number
  isThinking: boolean
  effort: Effort | undefined
  reasoningBudget: number | undefined
  /** Go on with a session that holds earlier thinking which the prompt leaves out. */
  keepsReasoning: boolean
  template: "reference" | "compat"
  strictTools: boolean
  /** Decode tool syntax greedily. */
  toolZones: boolean
  /** End answers that repeat themselves. */
  loopGuard: boolean
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
  storedResponses: StoredResponseLimits
  /** Undefined: they are kept in memory alone. */
  storedResponsesFolder: string | undefined
}

/** Output of this many milliseconds shares a frame; a fast model would else cost one per token. */
const FRAME_INTERVAL_MS = 8

/** The settings that options ask for. Clients must send one of `apiKeys`, if there are any. */
export function settingsOf(options: ServeOptions, apiKeys: readonly string[] = []): ServerSettings {
  const folder = kvDiskFolder(options)
  return {
    access: {
      apiKeys,
      isLoopback: options.unix !== undefined || isLoopbackAddress(options.host),
      // The machine's own names are no web page's: whoever asks for them means this machine.
      allowedHosts: [...options["allow-host"], options.host, hostname(), `${hostname()}.local`],
      corsAnyOrigin: options.cors,
      corsOrigins: options["cors-origin"],
    },
    maxBodyBytes: options["max-body"],
    admission: { parallel: options.parallel, maxQueue: options["max-queue"] },
    timing: {
      keepAliveMs: options["keepalive-seconds"] * 1000,
      frameIntervalMs: FRAME_INTERVAL_MS,
      stallMs: options["stall-seconds"] * 1000,
    },
    answers: {
      maxTokens: options["max-tokens"],
      isThinking: !options["no-think"],
      effort: options.effort,
      reasoningBudget: options["reasoning-budget"],
      keepsReasoning: options["keep-reasoning"] === "cache",
      template: options.template,
      strictTools: options["strict-tools"],
      toolZones: options["tool-sampling"] === "zones",
      loopGuard: !options["no-loop-guard"],
      strictModel: options["strict-model"],
    },
    toolMemoryMaxIds: options["tool-memory-max-ids"],
    storedResponses: {
      count: options["stored-responses"],
      bytes: options["stored-responses-mb"] * 2 ** 20,
    },
    storedResponsesFolder: folder === undefined ? undefined : join(folder, "responses"),
  }
}
