// The five entities of XML, decoded in string values; every other "&…;" is text.
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["&amp;", "&"],
  ["&lt;", "<"],
  ["&gt;", ">"],
  ["&quot;", '"'],
  ["&apos;", "'"],
])
const NAMES = [...ENTITIES.keys()]

export const decodeEntities = (text: string): string =>
  text.includes("&")
    ? text.replaceAll(/&(?:amp|lt|gt|quot|apos);/g, (entity) => ENTITIES.get(entity) ?? entity)
    : text

/** How many units at the end of `text` may begin an entity that is not complete. */
export const partialEntityUnits = (text: string): number => {
  const begin = text.lastIndexOf("&")
  if (begin < 0 || text.length - begin > 5) return 0
  const tail = text.slice(begin)
  return NAMES.some((name) => name !== tail && name.startsWith(tail)) ? tail.length : 0
}
