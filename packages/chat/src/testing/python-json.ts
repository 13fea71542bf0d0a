// JSON as Python reads and writes it, for the encoder that tests compare with. It works on the
// tokens of the text and shares nothing with src/json.
const TOKENS = /"(?:[^"\\]|\\.)*"|[-0-9.eE+]+|true|false|null|[{}[\],:]/g

/** A double as repr() writes it, from the decimal or exponential form that JavaScript has. */
const pythonFloat = (value: number): string => {
  const text = Object.is(value, -0) ? "-0" : String(value)
  const [mantissa = "", exponent] = text.split("e")
  if (exponent !== undefined) return `${mantissa}e${exponent.replace(/^([+-])(\d)$/, "$10$2")}`
  const whole = /^(-?)(\d)(\d{16,})$/.exec(text) // from 10^16 on Python writes an exponent
  if (whole !== null) {
    const rest = (whole[3] ?? "").replace(/0+$/, "")
    return `${whole[1]}${whole[2]}${rest === "" ? "" : `.${rest}`}e+${(whole[3] ?? "").length}`
  }
  const small = /^(-?)0\.(0{4,})(\d)(\d*)$/.exec(text) // below 10^-4 as well
  if (small !== null) {
    const point = small[4] === "" ? "" : `.${small[4]}`
    return `${small[1]}${small[3]}${point}e-${String((small[2] ?? "").length + 1).padStart(2, "0")}`
  }
  return text.includes(".") ? text : `${text}.0`
}

const written = (token: string): string => {
  if (token.startsWith('"')) return JSON.stringify(JSON.parse(token))
  if (token === ",") return ", "
  if (token === ":") return ": "
  if (!/^[-0-9]/.test(token)) return token
  if (/[.eE]/.test(token)) return pythonFloat(Number(token))
  return token === "-0" ? "0" : token
}

/** json.dumps(json.loads(text), ensure_ascii=False), of objects without repeated keys. */
export const pythonJson = (text: string): string =>
  Array.from(text.matchAll(TOKENS), ([token]) => written(token)).join("")

/**
 * The members of a JSON object as text, in order; undefined for text that is no JSON.
 * @throws TypeError for other JSON, in which the vendor's encoder finds no items
 */
export const objectMembers = (text: string): [key: string, value: string][] | undefined => {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw new TypeError(`no items in ${text}`)
  const members: [string, string][] = []
  let depth = 0
  let key: string | undefined
  let value = ""
  for (const [token] of text.matchAll(TOKENS)) {
    if (depth === 1 && (token === "," || token === "}")) {
      if (key !== undefined) members.push([key, value])
      key = undefined
      value = ""
    } else if (depth === 1 && key === undefined) key = JSON.parse(token) as string
    else if (depth > 1 || (depth === 1 && (value !== "" || token !== ":"))) value += token
    if (token === "{" || token === "[") depth++
    if (token === "}" || token === "]") depth--
  }
  return members
}
