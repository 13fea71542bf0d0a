// Which of some declared names a sampled one means.

/** A name space before the name: `functions.` and the like. */
const PREFIX = /^.*[.:/]\s*/s

/** XML's five entities, in which a prompt of the compat profile writes names. */
const decoded = (name: string): string =>
  name
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&amp;", "&")

/** Ever looser readings of a name. */
const READINGS: readonly ((name: string) => string)[] = [
  (name) => name.trim(),
  (name) => decoded(name.trim()),
  (name) => name.trim().replace(PREFIX, ""),
  (name) => name.trim().replace(PREFIX, "").toLowerCase(),
  (name) =>
    name
      .trim()
      .replace(PREFIX, "")
      .toLowerCase()
      .replaceAll(/[\s_.-]+/g, ""),
]

/**
 * The name itself, else the one that its first successful reading means. Undefined: none, or
 * several.
 */
export const closestName = (names: ReadonlySet<string>, sampled: string): string | undefined => {
  if (names.has(sampled)) return sampled
  for (const read of READINGS) {
    const wanted = read(sampled)
    if (wanted === "") return undefined
    const meant = [...names].filter((name) => name === wanted || read(name) === wanted)
    if (meant.length > 0) return meant.length === 1 ? meant[0] : undefined
  }
  return undefined
}
