// A terminal screen, as far as these tests need one: text, wrapping, cursor moves, erasing below.

/** The rows that stand on a screen after some output, without colours and trailing blanks. */
export function drawn(output: string, columns: number): string[] {
  const rows: string[][] = [[]]
  let row = 0
  let column = 0
  const put = (glyph: string) => {
    const width = Bun.stringWidth(glyph)
    if (column + width > columns) {
      row += 1
      column = 0
    }
    while (rows.length <= row) rows.push([])
    const line = rows[row] ?? []
    while (line.length < column) line.push(" ")
    line[column] = glyph
    for (let rest = 1; rest < width; rest++) line[column + rest] = ""
    column += width
  }
  // eslint-disable-next-line no-control-regex -- escape sequences are what is read here
  for (const [token] of output.matchAll(/\x1b\[([0-9;?]*)([@-~])|[\s\S]/gu)) {
    // eslint-disable-next-line no-control-regex -- as above
    const sequence = /^\x1b\[([0-9;?]*)([@-~])$/.exec(token)
    if (sequence !== null) {
      const count = Number(sequence[1]?.split(";")[0]) || 1
      if (sequence[2] === "A") row = Math.max(0, row - count)
      else if (sequence[2] === "C") column += count
      else if (sequence[2] === "K") rows[row]?.splice(column)
      else if (sequence[2] === "J") {
        rows[row]?.splice(column)
        rows.length = row + 1
      }
    } else if (token === "\n") {
      row += 1
      column = 0
      while (rows.length <= row) rows.push([])
    } else if (token === "\r") column = 0
    else put(token)
  }
  const lines = rows.map((line) => line.join("").trimEnd())
  while (lines.at(-1) === "") lines.pop()
  return lines
}
