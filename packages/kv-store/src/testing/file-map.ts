import {
  FOOTER_BYTES,
  HEADER_BYTES,
  SECTION,
  TABLE_ENTRY_BYTES,
  viewOf,
  type SectionName,
} from "../format/layout.ts"

interface Extent {
  readonly name: string
  readonly begin: number
  readonly end: number
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(SECTION).map(([name, kind]) => [kind, name]),
)

/** Where the sections of a file of the store lie, in the table's order. */
export function sectionExtents(file: Uint8Array): Extent[] {
  const view = viewOf(file)
  return Array.from({ length: view.getUint16(10, true) }, (_, index) => {
    const at = HEADER_BYTES + index * TABLE_ENTRY_BYTES
    const begin = Number(view.getBigUint64(at + 8, true))
    const end = begin + Number(view.getBigUint64(at + 16, true))
    return { name: NAMES.get(view.getUint16(at, true)) ?? "unknown", begin, end }
  })
}

/** All parts of a file that are not padding. */
export function extentsOf(file: Uint8Array): Extent[] {
  const sections = sectionExtents(file)
  return [
    { name: "header", begin: 0, end: HEADER_BYTES },
    { name: "table", begin: HEADER_BYTES, end: HEADER_BYTES + sections.length * TABLE_ENTRY_BYTES },
    ...sections.filter(({ begin, end }) => end > begin),
    { name: "footer", begin: file.length - FOOTER_BYTES, end: file.length },
  ]
}

/** The place of one section; an empty place when there is none. */
export const extentOf = (file: Uint8Array, name: SectionName): Extent =>
  sectionExtents(file).find((each) => each.name === name) ?? { name, begin: 0, end: 0 }

/** Numbers from 0 to below 1 that follow from a seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}
