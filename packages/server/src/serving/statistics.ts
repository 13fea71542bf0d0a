// Counters, gauges and histograms of the server; printed as Prometheus text and as JSON.

import type { PrefixCacheStats } from "@ds4/engine"
import { COUNTED, kvStoreJson, type KvStoreFigures, prefixCacheJson } from "./cache-figures.ts"

/** A histogram with fixed upper bounds; counts are per bucket, cumulated when printed. */
export class Histogram {
  private readonly counts: number[]
  private sum = 0
  private total = 0

  constructor(private readonly bounds: readonly number[]) {
    this.counts = bounds.map(() => 0)
  }

  observe(value: number): void {
    this.total++
    this.sum += value
    const bucket = this.bounds.findIndex((bound) => value <= bound)
    if (bucket >= 0) this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
  }

  lines(name: string): string[] {
    let cumulated = 0
    const buckets = this.bounds.map((bound, index) => {
      cumulated += this.counts[index] ?? 0
      return `${name}_bucket{le="${bound}"} ${cumulated}`
    })
    return [
      ...buckets,
      `${name}_bucket{le="+Inf"} ${this.total}`,
      `${name}_sum ${this.sum}`,
      `${name}_count ${this.total}`,
    ]
  }

  get mean(): number {
    return this.total === 0 ? 0 : this.sum / this.total
  }
}

interface FinishedRequest {
  endpoint: string
  status: number
  promptTokens: number
  cachedTokens: number
  prefilledTokens: number
  completionTokens: number
  reasoningTokens: number
  toolCalls: number
  isCancelled: boolean
  queueMs: number | undefined
  ttftMs: number | undefined
  decodeMs: number
  prefillMs: number
}

export interface Gauges {
  active: number
  running: number
  queued: number
  prefixCache: PrefixCacheStats
  kvStore?: KvStoreFigures
  residentBytes: number
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] as const
const RATES = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000] as const
const MINUTE_MS = 60_000

export class Statistics {
  private readonly startedAtMs = Date.now()
  private readonly requests = new Map<string, { endpoint: string; status: number; count: number }>()
  private readonly tokens = { prompt: 0, cached: 0, output: 0, reasoning: 0 }
  private cancels = 0
  private toolCalls = 0
  private readonly ttft = new Histogram(SECONDS)
  private readonly queueTime = new Histogram(SECONDS)
  private readonly interToken = new Histogram(SECONDS)
  private readonly prefillRate = new Histogram(RATES)
  private recent: { atMs: number; promptTokens: number; outputTokens: number }[] = []

  /** Counts a request that generated nothing: models, health, errors before admission. */
  countRequest(endpoint: string, status: number): void {
    const key = `${endpoint} ${status}`
    const row = this.requests.get(key)
    if (row === undefined) this.requests.set(key, { endpoint, status, count: 1 })
    else row.count++
  }

  /** Adds one generation request that ended. Its HTTP status is counted by `countRequest`. */
  addGeneration(done: FinishedRequest): void {
    this.tokens.prompt += done.promptTokens
    this.tokens.cached += done.cachedTokens
    this.tokens.output += done.completionTokens
    this.tokens.reasoning += done.reasoningTokens
    this.toolCalls += done.toolCalls
    if (done.isCancelled) this.cancels++
    if (done.queueMs !== undefined) this.queueTime.observe(done.queueMs / 1000)
    if (done.ttftMs !== undefined) this.ttft.observe(done.ttftMs / 1000)
    if (done.completionTokens > 1)
      this.interToken.observe(done.decodeMs / 1000 / done.completionTokens)
    if (done.prefilledTokens > 0 && done.prefillMs > 0)
      this.prefillRate.observe((done.prefilledTokens * 1000) / done.prefillMs)
    this.recent.push({
      atMs: Date.now(),
      promptTokens: done.promptTokens,
      outputTokens: done.completionTokens,
    })
    this.dropOld()
  }

  private dropOld(): void {
    const oldest = Date.now() - MINUTE_MS
    this.recent = this.recent.filter((entry) => entry.atMs >= oldest)
  }

  toJson(gauges: Gauges): Record<string, unknown> {
    this.dropOld()
    const sum = (pick: (entry: { promptTokens: number; outputTokens: number }) => number) =>
      this.recent.reduce((total, entry) => total + pick(entry), 0)
    return {
      uptime_seconds: (Date.now() - this.startedAtMs) / 1000,
      requests: [...this.requests.values()],
      tokens: this.tokens,
      tool_calls: this.toolCalls,
      cancelled: this.cancels,
      mean_seconds: {
        ttft: this.ttft.mean,
        queue: this.queueTime.mean,
        inter_token: this.interToken.mean,
      },
      last_minute: {
        requests: this.recent.length,
        prompt_tokens: sum((entry) => entry.promptTokens),
        output_tokens: sum((entry) => entry.outputTokens),
      },
      active: gauges.active,
      running: gauges.running,
      queued: gauges.queued,
      prefix_cache: prefixCacheJson(gauges.prefixCache),
      ...(gauges.kvStore === undefined ? {} : { kv_store: kvStoreJson(gauges.kvStore) }),
      resident_bytes: gauges.residentBytes,
    }
  }

  toPrometheus(gauges: Gauges): string {
    const lines: string[] = []
    const metric = (name: string, type: string, samples: string[]) =>
      lines.push(`# TYPE ${name} ${type}`, ...samples)
    metric(
      "ds4_requests_total",
      "counter",
      [...this.requests.values()].map(
        (row) =>
          `ds4_requests_total{endpoint="${row.endpoint}",status="${row.status}"} ${row.count}`,
      ),
    )
    metric(
      "ds4_tokens_total",
      "counter",
      Object.entries(this.tokens).map(
        ([kind, count]) => `ds4_tokens_total{kind="${kind}"} ${count}`,
      ),
    )
    metric("ds4_tool_calls_total", "counter", [`ds4_tool_calls_total ${this.toolCalls}`])
    metric("ds4_cancelled_total", "counter", [`ds4_cancelled_total ${this.cancels}`])
    metric("ds4_active_requests", "gauge", [`ds4_active_requests ${gauges.active}`])
    metric("ds4_running", "gauge", [`ds4_running ${gauges.running}`])
    metric("ds4_queued", "gauge", [`ds4_queued ${gauges.queued}`])
    const figures = (prefix: string, values: Readonly<Record<string, number>>): void => {
      for (const [name, value] of Object.entries(values)) {
        const isCounter = COUNTED.has(name)
        const full = `${prefix}_${name}${isCounter ? "_total" : ""}`
        metric(full, isCounter ? "counter" : "gauge", [`${full} ${value}`])
      }
    }
    figures("ds4_prefix_cache", prefixCacheJson(gauges.prefixCache))
    if (gauges.kvStore !== undefined) figures("ds4_kv_store", kvStoreJson(gauges.kvStore))
    metric("ds4_resident_bytes", "gauge", [`ds4_resident_bytes ${gauges.residentBytes}`])
    metric("ds4_ttft_seconds", "histogram", this.ttft.lines("ds4_ttft_seconds"))
    metric("ds4_queue_seconds", "histogram", this.queueTime.lines("ds4_queue_seconds"))
    metric("ds4_inter_token_seconds", "histogram", this.interToken.lines("ds4_inter_token_seconds"))
    metric(
      "ds4_prefill_tokens_per_second",
      "histogram",
      this.prefillRate.lines("ds4_prefill_tokens_per_second"),
    )
    return `${lines.join("\n")}\n`
  }
}
