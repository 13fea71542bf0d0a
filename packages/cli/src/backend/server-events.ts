/** The JSON payloads of a server-sent event stream, until [DONE] or its end. */
export async function* serverEvents(response: Response): AsyncIterable<unknown> {
  if (response.body === null) return
  const decoder = new TextDecoder()
  let pending = ""
  for await (const bytes of response.body) {
    pending += decoder.decode(bytes, { stream: true })
    const lines = pending.split(/\r?\n/)
    pending = lines.pop() ?? ""
    for (const line of lines) {
      if (!line.startsWith("data:")) continue
      const data = line.slice("data:".length).trim()
      if (data === "[DONE]") return
      yield JSON.parse(data) as unknown
    }
  }
}
