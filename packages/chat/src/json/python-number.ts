// Numbers as Python writes them. The vendor's encoder reads JSON into Python values and writes
// those again, so that the weights never saw another spelling.

const INTEGER = /^-?[0-9]+$/

/**
 * A JSON number as `json.dumps(json.loads(text))` of Python spells it: integers of any size as they
 * are, everything else as the shortest digits of its double. A number beyond the doubles keeps its
 * spelling, as Python's `Infinity` is no JSON.
 */
export const pythonNumber = (text: string): string => {
  if (INTEGER.test(text)) return text === "-0" ? "0" : text
  const value = Number(text)
  if (!Number.isFinite(value)) return text
  const sign = value < 0 || Object.is(value, -0) ? "-" : ""
  const [mantissa = "0", exponentText = "0"] = Math.abs(value).toExponential().split("e")
  const digits = mantissa.replace(".", "")
  const exponent = Number(exponentText)
  if (exponent < -4 || exponent >= 16) {
    const magnitude = String(Math.abs(exponent)).padStart(2, "0")
    return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${magnitude}`
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0")
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`
}
