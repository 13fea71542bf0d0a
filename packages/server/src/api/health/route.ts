import { Elysia } from "elysia"
import type { ServingState } from "../../serving/serving-state.ts"

/** Liveness: 200 when requests are served, 503 while loading, draining or after a failed load. */
export const health = (state: ServingState) => {
  const answer = () => {
    const { status } = state
    if (status === "ok") return Response.json({ status })
    return Response.json(status === "loading" ? { status, progress: state.progress } : { status }, {
      status: 503,
    })
  }
  return new Elysia({ name: "api/health" })
    .get("/health", answer, { detail: { summary: "Is the server ready", tags: ["server"] } })
    .get("/healthz", answer, { detail: { hide: true } })
}
