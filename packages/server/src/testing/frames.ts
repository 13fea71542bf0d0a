interface SseFrame {
  event: string | null
  data: string
}

/** Reads frames back; used to check what was written. Comments are left out. */
export function parseFrames(text: string): SseFrame[] {
  const frames: SseFrame[] = []
  for (const block of text.split("\n\n")) {
    const lines = block.split("\n")
    const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6))
    if (data.length === 0) continue
    const event = lines.find((line) => line.startsWith("event: "))
    frames.push({ event: event === undefined ? null : event.slice(7), data: data.join("\n") })
  }
  return frames
}
