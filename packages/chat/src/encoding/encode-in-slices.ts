// Tokenizes long prompts in slices, so that the event loop answers others in between.
import { isWordUnit, type Segment, type Tokenizer } from "@ds4/tokenizer"

/** UTF-16 units per slice: some milliseconds of work. */
const SLICE_UNITS = 16_384

/**
 * A slice that came out longer than this, for want of a place to cut, is encoded on another thread.
 */
const BACKGROUND_UNITS = 131_072

/** Ids that are copied before the event loop turns; another thread gives millions at once. */
const IDS_PER_TURN = 262_144

interface Encoders {
  tokenizer: Tokenizer
  /** Encodes elsewhere what would hold up the event loop; without it everything is encoded here. */
  background?: { encode(segments: readonly Segment[]): Promise<Iterable<number>> } | undefined
}

/**
 * Ids of the segments, equal to `tokenizer.encodeSegments(segments)`. Text longer than `sliceUnits`
 * is cut where the pre-tokenizer always cuts, and the loop turns between slices. Unbroken runs of
 * letters, spaces or signs have no such places.
 */
export async function encodeInSlices(
  { tokenizer, background }: Encoders,
  segments: readonly Segment[],
  sliceUnits = SLICE_UNITS,
): Promise<number[]> {
  if (unitsOf(segments) <= sliceUnits) return tokenizer.encodeSegments(segments)
  const ids: number[] = []
  for (const batch of sliceSegments(segments, sliceUnits)) {
    const isLong = background !== undefined && unitsOf(batch) > BACKGROUND_UNITS
    const encoded = isLong ? await background.encode(batch) : tokenizer.encodeSegments(batch)
    for (const id of encoded) if (ids.push(id) % IDS_PER_TURN === 0) await nextTurn()
    await nextTurn()
  }
  return ids
}

function unitsOf(segments: readonly Segment[]): number {
  return segments.reduce((total, segment) => total + segment.text.length, 0)
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/**
 * Groups of segments of about `sliceUnits`. A group ends only at a safe cut inside text: at a
 * border of segments the characters on both sides may belong to one token.
 */
export function* sliceSegments(
  segments: readonly Segment[],
  sliceUnits: number,
): Generator<Segment[]> {
  let group: Segment[] = []
  let units = 0
  for (const segment of mergeText(segments)) {
    let begin = 0
    for (;;) {
      const end = isText(segment)
        ? safeCut(segment.text, begin + Math.max(1, sliceUnits - units))
        : segment.text.length
      group.push(
        begin === 0 && end === segment.text.length
          ? segment
          : { ...segment, text: segment.text.slice(begin, end) },
      )
      units += end - begin
      if (end >= segment.text.length) break
      yield group
      group = []
      units = 0
      begin = end
    }
  }
  if (group.length > 0) yield group
}

function isText(segment: Segment): boolean {
  return !segment.control && segment.ids === undefined
}

/** Neighbouring text is encoded as one, so it is cut as one, too. */
function mergeText(segments: readonly Segment[]): Segment[] {
  const merged: Segment[] = []
  let run: string[] = []
  const flush = () => {
    if (run.length > 0) merged.push({ text: run.join(""), control: false })
    run = []
  }
  for (const segment of segments) {
    if (isText(segment)) run.push(segment.text)
    else {
      flush()
      merged.push(segment)
    }
  }
  flush()
  return merged
}

const NEWLINE = 0x0a
const SPACE = 0x20

/**
 * The first index at or after `from` where two tokens always part, or the text's length. The
 * pre-tokenizer cuts out runs of digits first, then runs of Han and kana: the borders of both are
 * safe. In what is left no pattern joins a line feed with a letter after it, or a letter with a
 * space before another letter.
 */
export function safeCut(text: string, from: number): number {
  for (let at = Math.max(1, from); at < text.length; at++) {
    const before = text.charCodeAt(at - 1)
    const after = text.charCodeAt(at)
    if (isHanOrKana(before) !== isHanOrKana(after)) return at
    if (
      after === SPACE
        ? isWordUnit(before) && at + 1 < text.length && isWordUnit(text.charCodeAt(at + 1))
        : isDigit(after) && isWordUnit(before)
    )
      return at
    if (before === NEWLINE && isWordUnit(after)) return at
  }
  return text.length
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39
}

function isHanOrKana(unit: number): boolean {
  return (unit >= 0x4e00 && unit <= 0x9fa5) || (unit >= 0x3040 && unit <= 0x30ff)
}
