import { chatWith } from "@ds4/chat"
import type { ModelOptionName, OptionValues } from "@ds4/options"
import type { Io } from "../io.ts"
import { loadEngine } from "../load-engine.ts"
import type { Backend } from "./backend.ts"
import { LocalBackend } from "./local-backend.ts"
import { RemoteBackend } from "./remote-backend.ts"

type BackendFlags = OptionValues<ModelOptionName | "url" | "api-key" | "quiet">

/** The server at --url, or a local engine over the model that the flags name. */
export async function openBackend(
  flags: BackendFlags,
  io: Io,
  prepareNative: () => void,
): Promise<Backend> {
  if (flags.url !== undefined) {
    return await RemoteBackend.open({
      url: flags.url,
      apiKey: flags["api-key"],
      ...(flags.model === undefined ? {} : { model: flags.model }),
    })
  }
  const loaded = await loadEngine(flags, io, prepareNative)
  const { expertsText } = await import("@ds4/engine")
  return new LocalBackend(
    chatWith(loaded),
    `on the CPU, ${flags.numerics} numerics, experts ${expertsText(loaded.engine.describe())}`,
  )
}
