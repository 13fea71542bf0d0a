// Framing of server-sent events. Pure text in, text out; nothing here knows an API.

export const SSE_HEADERS: Record<string, string> = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
}

export const DONE_FRAME = "data: [DONE]\n\n"

/** One unnamed frame. JSON text holds no raw newline, so one `data:` line is enough. */
export function dataFrame(json: string): string {
  return `data: ${json}\n\n`
}

/** One named frame. */
export function eventFrame(name: string, json: string): string {
  return `event: ${name}\ndata: ${json}\n\n`
}

/** A comment line: ignored by clients, keeps connections and idle timers alive. */
export function commentFrame(text: string): string {
  return `: ${text.replace(/[\r\n]+/g, " ")}\n\n`
}
