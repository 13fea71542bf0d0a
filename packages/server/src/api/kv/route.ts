import type { CheckpointListing, InferenceEngine, KvFiles } from "@ds4/engine"
import { Elysia } from "elysia"
import type { AccessRules } from "../../http/guards.ts"
import { ApiError, invalid } from "../../http/api-error.ts"
import { operation } from "../../openapi/operation.ts"
import type { Answers } from "../../serving/answers.ts"
import { kvStoreJson, prefixCacheJson } from "../../serving/cache-figures.ts"
import { nothingKept, onFolder, unknownKey } from "./kv-error.ts"
import { prepareSave } from "./save.ts"
import {
  CheckpointList,
  Collected,
  LoadedState,
  LoadRequest,
  Removed,
  SavedState,
  SaveRequest,
  Verification,
} from "./schema.ts"

const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000)

/** @param isPrivate several people use the server: they do not see each other's words */
const listed = (each: CheckpointListing, isPrivate: boolean) => ({
  key: each.key,
  tokens: each.tokens,
  bytes: each.bytes,
  own_bytes: each.ownBytes,
  created: seconds(each.created),
  last_used: each.lastUsed === undefined ? null : seconds(each.lastUsed),
  uses: each.uses,
  reason: each.reason,
  label: each.label ?? null,
  model: each.model ?? null,
  preview: isPrivate ? null : (each.preview ?? null),
  usable: each.isUsable,
})

/** Lists the disk, with totals of disk and memory. Without a folder the list is empty. */
async function list({ kv: files, stats }: InferenceEngine, isPrivate: boolean) {
  const found = files === undefined ? [] : await onFolder(() => files.list())
  const data = found.map((each) => listed(each, isPrivate))
  const { kvStore, prefixCache } = stats()
  const disk = kvStore === undefined ? null : kvStoreJson(kvStore)
  return { object: "list", data, disk, memory: prefixCacheJson(prefixCache) }
}

async function remove(files: KvFiles, key: string) {
  const known = await onFolder(() => files.list())
  if (!known.some((each) => each.key === key)) throw unknownKey(key, "key")
  await onFolder(() => files.remove(key))
  return { key, deleted: true }
}

/** Loads by key, or the newest state of a name that is of this model. */
async function load(files: KvFiles, { key, label }: LoadRequest) {
  const [name, param] = typeof key === "string" ? [key, "key"] : [label, "label"]
  if (typeof name !== "string") throw invalid("missing label or key", "label")
  const all = await onFolder(() => files.list())
  const named = all.filter((each) => (param === "key" ? each.key : each.label) === name)
  const found = named.find(({ isUsable }) => isUsable)
  if (named.length === 0) throw unknownKey(name, param)
  if (found === undefined)
    throw new ApiError(
      "CONFLICT",
      `"${name}" is of another model, other numerics, or lacks a page: it cannot be loaded here`,
      { param, reason: "kv_incompatible" },
    )
  const { tokens } = await onFolder(() => files.load(found.key))
  return { key: found.key, label: found.label ?? null, tokens }
}

const FAILURES = [409, 503] as const

const LIST = operation({
  summary: "States on disk",
  description: "Checkpoints of conversations, the last made first, with totals of disk and memory.",
  tag: "server",
  answer: CheckpointList,
  failures: FAILURES,
})
const REMOVE = operation({
  summary: "Remove a state from disk",
  tag: "server",
  answer: Removed,
  failures: [404, ...FAILURES],
  id: { description: "the key of the checkpoint", example: "0".repeat(64) },
})
const SAVE = operation({
  summary: "Save the state of a conversation under a name",
  description:
    "What nobody has read of it is read first. It stays until it is removed, or until another " +
    "state is saved under its name.",
  tag: "server",
  answer: SavedState,
  readsBody: true,
  failures: [404, 409, 499],
})
const LOAD = operation({
  summary: "Bring a state from disk into memory",
  description: "By its name or its key. Prompts find states on disk without it, too.",
  tag: "server",
  answer: LoadedState,
  readsBody: true,
  failures: [404, 409],
})
const VERIFY = operation({
  summary: "Check every file of states",
  description: "Reads all of them; damaged ones are moved away.",
  tag: "server",
  answer: Verification,
  failures: FAILURES,
})
const COLLECT = operation({
  summary: "Remove files of states that nothing needs",
  tag: "server",
  answer: Collected,
  failures: FAILURES,
})

/** The states of conversations on disk. */
export const kv = (answers: Answers, { apiKeys }: AccessRules) => {
  const files = (): KvFiles => {
    const found = answers.model.chat.engine.kv
    if (found === undefined) throw nothingKept()
    return found
  }
  const save = ({ body, request }: { body: SaveRequest; request: Request }) =>
    answers.run({ request, endpoint: "/v1/kv/save" }, (model, context) =>
      prepareSave(body, model, context),
    )
  return new Elysia({ name: "api/kv" })
    .get("/v1/kv", () => list(answers.model.chat.engine, apiKeys.length > 1), { detail: LIST })
    .delete("/v1/kv/:id", ({ params }) => remove(files(), params.id), { detail: REMOVE })
    .post("/v1/kv/save", save, { body: SaveRequest, detail: SAVE })
    .post("/v1/kv/load", ({ body }) => load(files(), body), { body: LoadRequest, detail: LOAD })
    .post("/v1/kv/verify", () => onFolder(() => files().verify()), { detail: VERIFY })
    .post("/v1/kv/gc", () => onFolder(() => files().gc()), { detail: COLLECT })
}
