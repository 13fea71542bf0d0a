import { Elysia } from "elysia"
import { Type } from "@sinclair/typebox"
import { operation } from "../../openapi/operation.ts"
import type { ServingState } from "../../serving/serving-state.ts"

const Health = Type.Object({
  status: Type.String({ description: "ok, loading, draining or failed" }),
  progress: Type.Optional(Type.Number({ description: "share of loading that is done" })),
})

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
    .get("/health", answer, {
      detail: operation({
        summary: "Is the server ready",
        tag: "server",
        answer: Health,
        sameAt: { status: 503, when: "the model is loading, or the server shuts down" },
      }),
    })
    .get("/healthz", answer, { detail: { hide: true } })
}
