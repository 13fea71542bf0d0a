// Reads a request body as JSON with a size limit, a nesting limit and the byte offset of a syntax error.
import { ApiError, invalid } from "../errors.ts"

export interface BodyLimits { maxBodyBytes: number; maxJsonDepth: number }

/** The body as a JSON value whatever its content type says; null if it is empty. */
export async function readJson(request: Request, limits: BodyLimits): Promise<unknown> {
  const bytes = await readBody(request, limits.maxBodyBytes)
  return bytes.length === 0 ? null : parseJson(bytes, limits.maxJsonDepth)
}

/** Reads the whole body, at most `maxBodyBytes`; a chunked body is counted while it arrives. */
export async function readBody(request: Request, maxBodyBytes: number): Promise<Uint8Array> {
  const declared = request.headers.get("content-length")
  if (declared !== null && Number(declared) > maxBodyBytes) throw tooLarge(maxBodyBytes)
  if (declared !== null) return new Uint8Array(await request.arrayBuffer())
  if (request.body === null) return new Uint8Array(0)
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body) {
    bytes += chunk.byteLength
    if (bytes > maxBodyBytes) throw tooLarge(maxBodyBytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

export function tooLarge(maxBodyBytes: number): ApiError {
  return new ApiError("TOO_LARGE", `the request body is larger than ${maxBodyBytes} bytes; shorten it or raise --max-body`)
}

/** Parses UTF-8 JSON bytes. Errors are 400 and carry the byte offset. */
export function parseJson(bytes: Uint8Array, maxDepth: number): unknown {
  checkDepth(bytes, maxDepth)
  let text: string
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new ApiError("INVALID_REQUEST", "invalid JSON request: the body is not UTF-8", { cause })
  }
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    const { offset, expected } = findSyntaxError(bytes)
    throw new ApiError("INVALID_REQUEST", `invalid JSON request: ${expected} at byte ${offset}`, { cause })
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Index just after the string that opens at `begin`, or the end of the input. */
function skipString(bytes: Uint8Array, begin: number): number {
  let at = begin + 1
  for (;;) {
    const quote = bytes.indexOf(QUOTE, at)
    if (quote < 0) return bytes.length
    let backslashes = 0
    while (bytes[quote - 1 - backslashes] === BACKSLASH && quote - 1 - backslashes > begin) backslashes++
    if (backslashes % 2 === 0) return quote + 1
    at = quote + 1
  }
}

function checkDepth(bytes: Uint8Array, maxDepth: number): void {
  let depth = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) at = skipString(bytes, at) - 1
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > maxDepth) throw invalid(`invalid JSON request: nested deeper than ${maxDepth} levels at byte ${at}`)
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
}

interface SyntaxFault { offset: number; expected: string }

/**
 * Finds where JSON stops being JSON: a strict recursive scan, run only after JSON.parse has refused.
 * The depth was checked before, so recursion is bounded.
 */
export function findSyntaxError(bytes: Uint8Array): SyntaxFault {
  const scanner = new JsonScanner(bytes)
  return scanner.run()
}

class JsonScanner {
  private at = 0
  private fault: SyntaxFault | undefined
  constructor(private readonly bytes: Uint8Array) {}

  run(): SyntaxFault {
    if (this.value()) {
      this.space()
      if (this.at < this.bytes.length) this.fail("expected the end of the body")
    }
    return this.fault ?? { offset: this.at, expected: "invalid JSON" }
  }

  private fail(expected: string): false {
    this.fault ??= { offset: this.at, expected: this.at >= this.bytes.length ? `${expected}, found the end of the body` : expected }
    return false
  }

  private space(): void {
    while ([0x20, 0x09, 0x0a, 0x0d].includes(this.bytes[this.at] ?? -1)) this.at++
  }

  private value(): boolean {
    this.space()
    const byte = this.bytes[this.at]
    if (byte === 0x7b) return this.members(0x7d, true)
    if (byte === 0x5b) return this.members(0x5d, false)
    if (byte === QUOTE) return this.string()
    const rest = Buffer.from(this.bytes.subarray(this.at, this.at + 64)).toString("latin1")
    const word = /^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)/.exec(rest)
    if (word === null) return this.fail("expected a JSON value")
    this.at += word[0].length
    // A long number does not fit the window; its digits go on.
    while (word[0].length === 64 && /[\d.eE+-]/.test(String.fromCharCode(this.bytes[this.at] ?? 0))) this.at++
    return true
  }

  private members(close: number, named: boolean): boolean {
    this.at++
    this.space()
    if (this.bytes[this.at] === close) return this.step()
    for (;;) {
      if (named && !this.name()) return false
      if (!this.value()) return false
      this.space()
      if (this.bytes[this.at] === close) return this.step()
      if (this.bytes[this.at] !== 0x2c) return this.fail(`expected "," or "${String.fromCharCode(close)}"`)
      this.at++
      this.space()
    }
  }

  private name(): boolean {
    this.space()
    if (this.bytes[this.at] !== QUOTE) return this.fail("expected a field name in double quotes")
    if (!this.string()) return false
    this.space()
    if (this.bytes[this.at] !== 0x3a) return this.fail('expected ":"')
    this.at++
    return true
  }

  private string(): boolean {
    for (this.at++; ; this.at++) {
      const byte = this.bytes[this.at]
      if (byte === undefined) return this.fail("expected the closing quote")
      if (byte < 0x20) return this.fail("expected an escape instead of a control character")
      if (byte === QUOTE) return this.step()
      if (byte === BACKSLASH && !this.escape()) return false
    }
  }

  private escape(): boolean {
    const escape = Buffer.from(this.bytes.subarray(this.at, this.at + 6)).toString("latin1")
    const match = /^\\(["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(escape)
    if (match === null) return this.fail("expected a valid escape")
    this.at += match[0].length - 1
    return true
  }

  private step(): true {
    this.at++
    return true
  }
}
