// One loading call, on whichever thread: the worker below and nothing else runs it.
import type { Pointer } from "bun:ffi"
import { cString } from "@ds4/ffi"
import { ExpertPoolError, type ExpertPoolErrorCode } from "./errors.ts"
import { handleOf, openKtBridge } from "./library.ts"

export interface LoadRequest {
  libraryPath: string
  folder: string
  /** Native handles as numbers: valid on every thread of the process. */
  engine: number
  layers: { handle: number; layer: number }[]
}

export type LoadReply = { ok: true } | { ok: false; code: ExpertPoolErrorCode; message: string }

/** Opens the folder, loads the layers, closes the folder. Blocks until done. */
export function runLoad(request: LoadRequest): LoadReply {
  try {
    loadLayers(request)
    return { ok: true }
  } catch (error) {
    const code = error instanceof ExpertPoolError ? error.code : "INTERNAL"
    return { ok: false, code, message: error instanceof Error ? error.message : String(error) }
  }
}

function loadLayers(request: LoadRequest): void {
  const { ktKernel, extension, lastError, check } = openKtBridge(request.libraryPath)
  const tensors = handleOf(ktKernel.ktb_safetensor_open(cString(request.folder)))
  if (tensors === null)
    throw new ExpertPoolError(
      "FORMAT",
      lastError() || `${request.folder} has no readable *.safetensors`,
    )
  try {
    if (extension === undefined) {
      for (const { handle, layer } of request.layers) {
        check(
          `ktb_moe_load_weights_safetensors of layer ${layer}`,
          ktKernel.ktb_moe_load_weights_safetensors(handle as Pointer, tensors, layer, null),
        )
      }
      return
    }
    const handles = BigUint64Array.from(request.layers, ({ handle }) => BigInt(handle))
    const indices = Int32Array.from(request.layers, ({ layer }) => layer)
    check(
      "ktb_load_layers",
      extension.ktb_load_layers(
        request.engine as Pointer,
        tensors,
        handles.length,
        handles,
        indices,
        0,
      ),
    )
  } finally {
    ktKernel.ktb_safetensor_close(tensors)
  }
}
