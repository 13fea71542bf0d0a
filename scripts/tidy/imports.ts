import { dirname, join, normalize } from "node:path"
import { lineAt, type Finding, type SourceFile } from "./finding.ts"
import { importsOf, type Import } from "./imports-of.ts"

/** Package -> packages of ours that it may import. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  ffi: [],
  "model-file": [],
  tokenizer: ["model-file"],
  "kt-bridge": ["ffi", "native"],
  engine: ["kt-bridge", "kv-store", "ffi", "model-file", "tokenizer", "native"],
  chat: ["engine", "model-file", "tokenizer"],
  options: [],
  progress: [],
  "kv-store": [],
  server: ["chat", "engine", "model-file", "options", "progress", "tokenizer"],
  cli: [
    "chat",
    "engine",
    "kt-bridge",
    "kv-store",
    "model-file",
    "options",
    "progress",
    "tokenizer",
  ],
}
/** Pairs that may name each other's types and nothing else. */
const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = { cli: ["server"] }

/** Native layers from the bottom up; an include may go to the same layer or below. */
const LAYERS: readonly { readonly name: string; readonly prefix: string }[] = [
  { name: "base", prefix: "native/src/base/" },
  { name: "machine", prefix: "native/src/machine/" },
  { name: "format", prefix: "native/src/format/" },
  { name: "model", prefix: "native/src/model/" },
  { name: "kv", prefix: "native/src/kv/" },
  { name: "sampling", prefix: "native/src/sampling/" },
  { name: "device", prefix: "native/src/device/" },
  { name: "GPU kernels", prefix: "native/src/kernels/" },
  { name: "experts", prefix: "native/src/experts/" },
  { name: "kernels", prefix: "native/src/backend/cpu/kernels/" },
  { name: "backend", prefix: "native/src/backend/" },
  { name: "core", prefix: "native/src/core/" },
  { name: "api", prefix: "native/src/api/" },
]

/**
 * Includes that the order of layers allows and that are forbidden all the same. Devices know
 * nothing of each other, and one file opens them.
 */
const FORBIDDEN_INCLUDES: readonly {
  readonly from: RegExp
  readonly to: RegExp
  readonly reason: string
}[] = [
  {
    from: /^native\/src\/backend\/cpu\//,
    to: /^native\/src\/backend\/(?!cpu\/)\w+\//,
    reason: "the CPU backend must not know another device",
  },
  {
    from: /^native\/src\/backend\/(?!cpu\/)\w+\//,
    to: /^native\/src\/backend\/cpu\//,
    reason: "a device's backend must not know the CPU's; share by native/src/backend",
  },
  {
    from: /^native\/src\/(?!backend\/\w+\/|backend\/open_backend\.)/,
    to: /^native\/src\/backend\/\w+\//,
    reason: "only backend/open_backend.cc knows the devices",
  },
]

/** Files that a program of ours may load: no test, no benchmark, no support of either. */
const PRODUCT = /^packages\/[\w-]+\/(?:src|bin)\/(?!(?:.*\/)?testing\/)(?!.*\.test\.ts$)/

function checkOne(
  owner: string,
  file: SourceFile,
  { specifier, isType, line }: Import,
): Finding | undefined {
  const finding = (message: string): Finding => ({
    check: "imports",
    path: file.path,
    line,
    message,
  })
  if (/(?:^|\/)testing(?:\/|$)/.test(specifier) && PRODUCT.test(file.path))
    return finding(`imports ${specifier}, which is support for tests`)
  if (specifier.startsWith(".")) {
    const target = normalize(join(dirname(file.path), specifier))
    const isInside = target.startsWith(`packages/${owner}/`)
    return isInside
      ? undefined
      : finding(`reaches out of its package to ${target}; import the package by its name`)
  }
  const target = /^@ds4\/([\w-]+)/.exec(specifier)?.[1]
  if (target === undefined || target === owner || ALLOWED[owner]?.includes(target) === true)
    return undefined
  if (TYPES_ONLY[owner]?.includes(target) === true) {
    return isType
      ? undefined
      : finding(`@ds4/${owner} may import types from @ds4/${target} and nothing else (import type)`)
  }
  return finding(`@ds4/${owner} must not import @ds4/${target}`)
}

/** Why a file may not include another one, or undefined if it may. */
function includeFault(path: string, target: string): string | undefined {
  const rankOf = (each: string): number => LAYERS.findIndex(({ prefix }) => each.startsWith(prefix))
  const [own, other] = [LAYERS[rankOf(path)], LAYERS[rankOf(target)]]
  if (own === undefined || other === undefined) return undefined
  if (rankOf(target) > rankOf(path) && own.name !== other.name)
    return `${own.name} must not include it: that is ${other.name}, which lies above it`
  return FORBIDDEN_INCLUDES.find(({ from, to }) => from.test(path) && to.test(target))?.reason
}

function checkIncludes(file: SourceFile): Finding[] {
  if (file.path.endsWith("_test.cc")) return []
  return [...file.text.matchAll(/^[ \t]*#include\s+"([^"]+)"/gm)].flatMap((match) => {
    const fault = includeFault(file.path, `native/src/${match[1] ?? ""}`)
    if (fault === undefined) return []
    const line = lineAt(file.text, match.index)
    return [{ check: "includes", path: file.path, line, message: `${match[1]}: ${fault}` }]
  })
}

/** Arrows between packages and between native layers never turn back. */
export function checkImports(file: SourceFile): Finding[] {
  if (/^native\/src\/.*\.(?:cc|h|cu|cuh)$/.test(file.path)) return checkIncludes(file)
  const owner = /^packages\/([\w-]+)\/.*\.ts$/.exec(file.path)?.[1]
  if (owner === undefined) return []
  return importsOf(file.text)
    .map((each) => checkOne(owner, file, each))
    .filter((finding) => finding !== undefined)
}
