// Reads the function declarations and constants of one of our public headers, so that tests can
// hold an FFI table against it. It knows the C that style.md allows in a header, nothing more, and
// throws at anything else.

interface CFunction {
  readonly args: readonly string[]
  readonly returns: string
}

interface HeaderOptions {
  /** Macro before every exported function, such as "DS4_API". */
  readonly exportMacro: string
  /** Boundary types of the header's typedefs, such as { ds4_status: "i32" }. */
  readonly types?: Readonly<Record<string, string>>
}

const C_TYPES: Readonly<Record<string, string>> = {
  void: "void",
  bool: "bool",
  int: "i32",
  float: "f32",
  double: "f64",
  size_t: "u64",
  uint8_t: "u8",
  int32_t: "i32",
  uint32_t: "u32",
  int64_t: "i64",
  uint64_t: "u64",
}

const withoutComments = (source: string): string =>
  source.replace(/\/\*[\s\S]*?\*\//g, " ").replace(/\/\/.*$/gm, " ")

/**
 * Every exported function by name, in header order, with bun:ffi types. `const char *` returns are
 * "cstring".
 */
export function parseCFunctions(source: string, options: HeaderOptions): Record<string, CFunction> {
  const functions: Record<string, CFunction> = {}
  const text = withoutComments(source).replace(/^\s*#.*$/gm, " ")
  const pattern = new RegExp(`\\b${options.exportMacro}\\s+([^;{]+);`, "g")
  for (const [, declaration = ""] of text.matchAll(pattern)) {
    const flat = declaration.replace(/\s+/g, " ").trim()
    const match = /^(.+?)\b(\w+) ?\((.*)\)$/.exec(flat)
    if (match === null) throw new Error(`not a function declaration: ${flat}`)
    const [, returns = "", name = "", args = ""] = match
    functions[name] = {
      args: splitArguments(args).map((arg) => ffiType(arg, options, false)),
      returns: ffiType(returns, options, true),
    }
  }
  return functions
}

/** Splits at commas outside parentheses; a lone `void` is no argument. */
function splitArguments(text: string): string[] {
  const args: string[] = []
  let depth = 0
  let current = ""
  for (const c of text) {
    if (c === "(") depth++
    else if (c === ")") depth--
    if (c === "," && depth === 0) {
      args.push(current)
      current = ""
    } else {
      current += c
    }
  }
  args.push(current)
  const trimmed = args.map((arg) => arg.trim())
  return trimmed.length === 1 && trimmed[0] === "void" ? [] : trimmed
}

function ffiType(declaration: string, options: HeaderOptions, isReturn: boolean): string {
  if (declaration.includes("(*")) return "ptr"
  if (declaration.includes("*") || declaration.includes("["))
    return isReturn && /^const char ?\*/.test(declaration) ? "cstring" : "ptr"
  const words = declaration.split(/\s+/).filter((word) => word !== "const" && word !== "")
  const type =
    words[0] === "enum" ? "int" : words[0] === "struct" ? `struct ${words[1]}` : (words[0] ?? "")
  const known = options.types?.[type] ?? C_TYPES[type]
  if (known === undefined)
    throw new Error(`the type ${type} of "${declaration}" is not allowed at the boundary`)
  return known
}

/** The constants of every enum of a header: name to value, counted as C counts them. */
export function parseCEnums(source: string): Record<string, number> {
  const values: Record<string, number> = {}
  for (const [, body = ""] of withoutComments(source).matchAll(/\benum\s*\w*\s*\{([^}]*)\}/g)) {
    let next = 0
    for (const item of body.split(",")) {
      const [name = "", value] = item.split("=").map((part) => part.trim())
      if (name === "") continue
      if (value !== undefined) next = Number(value)
      if (!Number.isInteger(next))
        throw new Error(`${name} has the value ${value}, which is not a number`)
      values[name] = next++
    }
  }
  return values
}

/** An FFI table in the form of parseCFunctions: "u64_fast" is u64 and callbacks are pointers. */
export function tableRows(
  table: Readonly<
    Record<string, { readonly args?: readonly unknown[]; readonly returns?: unknown }>
  >,
): Record<string, CFunction> {
  const plain = (type: unknown): string => {
    const name = String(type)
    return name === "u64_fast" || name === "usize"
      ? "u64"
      : name === "i64_fast"
        ? "i64"
        : name === "function" || name === "buffer"
          ? "ptr"
          : name
  }
  return Object.fromEntries(
    Object.entries(table).map(([name, row]) => [
      name,
      { args: (row.args ?? []).map(plain), returns: plain(row.returns ?? "void") },
    ]),
  )
}
