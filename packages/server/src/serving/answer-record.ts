import { missReason } from "../answer/cache-explanation.ts"
import { ApiError } from "../http/api-error.ts"
import type { RequestLog } from "../http/request-log.ts"
import type { AnswerRun } from "./answer-run.ts"
import type { Statistics } from "./statistics.ts"

/** Counts a generation request that ended, and writes its log line. No failure: status 200. */
export function recordAnswer(
  { context, active, generation, transcript, prepared }: AnswerRun,
  failure: unknown,
  { statistics, log }: { statistics: Statistics; log: RequestLog },
): void {
  const { usage, finish, detail, warnings = [], prefillMs, decodeMs } = generation.outcome
  const { ttftMs, queueMs, cacheReport } = generation
  const { tokens } = prepared.plan.prompt
  const { cachedTokens } = usage
  const status = failure === undefined ? 200 : failure instanceof ApiError ? failure.status : 500
  const isCancelled = active.controller.signal.aborted
  const prefilledTokens = Math.max(0, active.processedTokens - usage.cachedTokens)
  const figures = { ...usage, prefilledTokens, ttftMs, prefillMs, decodeMs }
  const { endpoint } = active
  const toolCalls = transcript.calls.length
  statistics.countRequest(endpoint, status)
  statistics.addGeneration({ ...figures, endpoint, status, toolCalls, isCancelled, queueMs })
  const { id, method, path, startedAtMs } = context
  log.write({
    id,
    method,
    path,
    status,
    durationMs: performance.now() - startedAtMs,
    failure: status === 500 ? failure : undefined,
    generation: {
      ...figures,
      finish:
        failure === undefined ? (detail?.type ?? finish) : isCancelled ? "cancelled" : "error",
      cacheSource: cacheReport?.source,
      cacheMiss: cacheReport && missReason(cacheReport, { tokens, cachedTokens }),
      warnings: [
        ...(prepared.warnings ?? []),
        ...warnings,
        ...(detail === undefined ? [] : [detail.message]),
      ],
    },
  })
}
