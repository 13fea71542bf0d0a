import { basename, join } from "node:path"
import { diskFiles, type FileAccess } from "./byte-source.ts"
import { checkSmallValues } from "./check-values.ts"
import { configFromGguf } from "./gguf/config.ts"
import { plainValue } from "./gguf/metadata.ts"
import { readGgufFiles } from "./gguf/shards.ts"
import type { ModelFile } from "./model-file.ts"
import { ModelFileError } from "./model-file-error.ts"
import { configFromJson } from "./safetensors/config.ts"
import { readSafetensorsFolder } from "./safetensors/folder.ts"
import { matchTensors } from "./tensor-table.ts"

/**
 * Opens a GGUF file, the first of a split set, or a safetensors folder. Headers are read and
 * checked. Every tensor of the configuration must be there once, with its shape and a type that
 * its role may have. It must lie inside its file and apart from the others. Weights are not read,
 * except the small ones that checkSmallValues checks.
 * @throws ModelFileError naming the tensor or key, the expected value and the one that came
 */
export async function openModelFile(
  path: string,
  access: FileAccess = diskFiles,
): Promise<ModelFile> {
  const kind = await access.kind(path)
  if (kind === undefined)
    throw new ModelFileError(
      "NOT_FOUND",
      "no such file or folder; expected a .gguf file or a safetensors folder",
      { path },
    )
  const file =
    kind === "folder" ? await openSafetensors(path, access) : await openGguf(path, access)
  await checkSmallValues(file, access)
  return file
}

async function openGguf(path: string, access: FileAccess): Promise<ModelFile> {
  const { files, header, tensors } = await readGgufFiles(access, path)
  const metadata = new Map([...header.metadata].map(([key, value]) => [key, plainValue(value)]))
  const names = new Set(tensors.map((tensor) => tensor.name))
  const config = configFromGguf(metadata, (name) => names.has(name), path, basename(path, ".gguf"))
  const table = matchTensors(config, "gguf", tensors, path)
  const hasVocabulary = metadata.has("tokenizer.ggml.tokens")
  return {
    format: "gguf",
    path,
    files,
    config,
    tensors: table.tensors,
    ignoredTensors: table.ignored,
    warnings: table.warnings,
    metadata,
    tokenizer: hasVocabulary ? { kind: "gguf", path, metadata } : undefined,
  }
}

async function openSafetensors(path: string, access: FileAccess): Promise<ModelFile> {
  const folder = await readSafetensorsFolder(access, path)
  const config = configFromJson(folder.config, folder.configPath, basename(path))
  const table = matchTensors(config, "safetensors", folder.tensors, path)
  const vocabulary = join(path, "tokenizer.json")
  return {
    format: "safetensors",
    path,
    files: folder.files,
    config,
    tensors: table.tensors,
    ignoredTensors: table.ignored,
    warnings: [...folder.warnings, ...table.warnings],
    metadata: folder.config,
    tokenizer:
      (await access.kind(vocabulary)) === "file"
        ? { kind: "tokenizer.json", path: vocabulary }
        : undefined,
  }
}
