import type { FoundResponse } from "./response-folder.ts"
import type { StoredResponse } from "./stored-response.ts"

/**
 * Responses in an order in which each stands behind the one that it continues, so that they can be
 * added one after another. Those that continue themselves in a circle are left out.
 */
export function inChainOrder(found: readonly FoundResponse[]): FoundResponse[] {
  const ids = new Set(found.map(({ stored }) => stored.id))
  const followers = new Map<string | undefined, FoundResponse[]>()
  for (const each of found) {
    const { previous } = each.stored
    const before = previous !== undefined && ids.has(previous) ? previous : undefined
    const list = followers.get(before)
    if (list === undefined) followers.set(before, [each])
    else list.push(each)
  }
  const ordered = [...(followers.get(undefined) ?? [])]
  for (let at = 0; at < ordered.length; at++) {
    const next = followers.get(ordered[at]?.stored.id)
    if (next !== undefined) ordered.push(...next)
  }
  return ordered
}

/**
 * The ids by their last use, the least recent first. A response is used with each that continues
 * it.
 * @param ordered as of `inChainOrder`
 */
export function byLastUse(ordered: readonly FoundResponse[]): string[] {
  const used = new Map(ordered.map(({ stored, usedMs }) => [stored.id, usedMs]))
  for (const { stored } of ordered.toReversed()) {
    const { id, previous } = stored
    const before = previous === undefined ? undefined : used.get(previous)
    if (previous !== undefined && before !== undefined)
      used.set(previous, Math.max(before, used.get(id) ?? 0))
  }
  const timeOf = ({ id }: StoredResponse): number => used.get(id) ?? 0
  return ordered
    .map(({ stored }) => stored)
    .toSorted((a, b) => timeOf(a) - timeOf(b))
    .map(({ id }) => id)
}
