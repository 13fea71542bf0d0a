// The table of `ds4 kv ls`.
import type { CheckpointListing } from "@ds4/kv-store"
import { formatBytes, formatWhole } from "@ds4/progress"
import { printable } from "../terminal/printable.ts"

/** Characters of a key that tell it from all others of a folder, as good as surely. */
const KEY_CHARACTERS = 12
const LEAST_PREVIEW = 20

const UNITS = [
  ["day", 86_400],
  ["h", 3600],
  ["min", 60],
] as const

/** How long ago: "3 h", "2 days"; "now" within a minute. */
export function ageText(milliseconds: number): string {
  const seconds = milliseconds / 1000
  for (const [unit, length] of UNITS) {
    if (seconds < length) continue
    const count = Math.floor(seconds / length)
    return `${count} ${unit}${unit === "day" && count > 1 ? "s" : ""}`
  }
  return "now"
}

interface Column {
  readonly title: string
  readonly text: (each: CheckpointListing, now: number) => string
  readonly isNumber?: boolean
}

const COLUMNS: readonly Column[] = [
  { title: "key", text: ({ key }) => key.slice(0, KEY_CHARACTERS) },
  { title: "tokens", text: ({ tokens }) => formatWhole(tokens), isNumber: true },
  { title: "size", text: ({ bytes }) => formatBytes(bytes), isNumber: true },
  { title: "frees", text: ({ ownBytes }) => formatBytes(ownBytes), isNumber: true },
  { title: "saved", text: ({ created }, now) => ageText(now - created), isNumber: true },
  {
    title: "used",
    text: ({ lastUsed }, now) => (lastUsed === undefined ? "-" : ageText(now - lastUsed)),
    isNumber: true,
  },
  { title: "uses", text: ({ uses }) => formatWhole(uses), isNumber: true },
  { title: "reason", text: ({ reason }) => oneLine(reason) },
  { title: "model", text: ({ model }) => oneLine(model ?? "-") },
  { title: "label", text: ({ label }) => oneLine(label ?? "-") },
]

const oneLine = (text: string): string => printable(text).replace(/\s+/g, " ")

/** @param columns of the terminal: previews are cut to them */
export function kvTable(
  list: readonly CheckpointListing[],
  now: number,
  columns: number,
): readonly string[] {
  const rows = list.map((each) => COLUMNS.map(({ text }) => text(each, now)))
  const widths = COLUMNS.map(({ title }, at) =>
    Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)),
  )
  const line = (cells: readonly string[], last: string): string => {
    const padded = cells.map((cell, at) =>
      COLUMNS[at]?.isNumber === true
        ? cell.padStart(widths[at] ?? 0)
        : cell.padEnd(widths[at] ?? 0),
    )
    const head = padded.join("  ")
    const room = Math.max(LEAST_PREVIEW, columns - head.length - 2)
    return `${head}  ${last.slice(0, room)}`.trimEnd()
  }
  const hasPreview = list.some(({ preview }) => preview !== undefined)
  return [
    line(
      COLUMNS.map(({ title }) => title),
      hasPreview ? "preview" : "",
    ),
    ...rows.map((row, at) => line(row, oneLine(list[at]?.preview ?? ""))),
  ]
}
