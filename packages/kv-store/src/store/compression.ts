import { promisify } from "node:util"
import { zstdCompress, zstdDecompress } from "node:zlib"
import { damaged } from "../kv-store-error.ts"

/** Bytes that one compressed section may give: a hostile file may say anything. */
const MOST_BYTES = 2 ** 26

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** One zstd frame. It runs on another thread. */
export const compressed = async (bytes: Uint8Array): Promise<Uint8Array> => compress(bytes)

/** @throws KvStoreError DAMAGED for bytes that are no zstd frame, or give too much */
export async function decompressed(bytes: Uint8Array): Promise<Uint8Array> {
  try {
    return await decompress(bytes, { maxOutputLength: MOST_BYTES })
  } catch (error) {
    throw damaged(`has a compressed section: ${error instanceof Error ? error.message : "no zstd"}`)
  }
}
