// The native zone tracker by itself, for tests.
import { engineLibrary } from "../library.ts"
import { OutHandle } from "../native/handle.ts"
import { toolNameLines } from "../native/job.ts"

export type Zone = "outside" | "structural" | "string_body" | "json_structural" | "json_string"
const ZONES: readonly Zone[] = [
  "outside",
  "structural",
  "string_body",
  "json_structural",
  "json_string",
]

/** The tracker after each of the pieces. */
interface Tracked {
  readonly zone: Zone
  /** A block with calls was closed: generation ends here. */
  readonly isClosed: boolean
}

/** @param tools names that count; default: any */
export function trackZones(pieces: readonly Uint8Array[], tools?: readonly string[]): Tracked[] {
  const { symbols, check } = engineLibrary()
  const out = new OutHandle()
  check("ds4_zones_open", symbols.ds4_zones_open(out.memory))
  const { pointer } = out
  try {
    if (tools !== undefined)
      check("ds4_zones_declare", symbols.ds4_zones_declare(pointer, toolNameLines(tools)))
    const [zone, closed] = [new Uint32Array(1), new Uint32Array(1)]
    return pieces.map((piece) => {
      check("ds4_zones_feed", symbols.ds4_zones_feed(pointer, piece, BigInt(piece.length), zone))
      check("ds4_zones_closed", symbols.ds4_zones_closed(pointer, closed))
      return { zone: ZONES[zone[0] ?? 0] ?? "outside", isClosed: (closed[0] ?? 0) > 0 }
    })
  } finally {
    symbols.ds4_zones_close(pointer)
  }
}
