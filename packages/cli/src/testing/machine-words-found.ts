/** Words and figures that only programs read, by what is wrong with them. */
const MACHINE_WORDS: Readonly<Record<string, RegExp>> = {
  exponent: /\b\d+(?:\.\d+)?e[+-]?\d+\b/i,
  "no value": /\b(?:null|undefined|NaN|Infinity)\b/,
  object: /\[object |[[{]"|"[\]}]|\[\]|\{\}/,
  "key of JSON": /(?<![\w.`/-])[a-z][a-z\d]*(?:_[a-z\d]+)+(?![\w.`-])/,
  "internal word": /\b(?:fused to|camelCase|[a-z]+[A-Z][a-z]+[A-Z]?\w*Tokens)\b/,
  "long fraction": /\d\.\d{9,}/,
}

/** Those that a text for people holds, as `kind: found`. Tensor names and quoted code may pass. */
export function machineWords(text: string): string[] {
  return Object.entries(MACHINE_WORDS).flatMap(([kind, pattern]) =>
    [...text.matchAll(new RegExp(pattern, `${pattern.flags}g`))].map(
      ([found]) => `${kind}: ${found}`,
    ),
  )
}
