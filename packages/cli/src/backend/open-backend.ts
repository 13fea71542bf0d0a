import { chatWith } from "@ds4/chat"
import type { EngineDescription } from "@ds4/engine"
import type { ModelOptionName, OptionValues } from "@ds4/options"
import type { Io } from "../io.ts"
import { loadChatModel } from "../load-engine.ts"
import type { Backend } from "./backend.ts"
import { LocalBackend } from "./local-backend.ts"
import { RemoteBackend } from "./remote-backend.ts"

type BackendFlags = OptionValues<ModelOptionName | "url" | "api-key">

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
  const loaded = await loadChatModel(flags, io, prepareNative)
  return new LocalBackend(chatWith(loaded), placeText(loaded.engine.describe()))
}

/** Where answers are made, in a few words; ds4 doctor and ds4 bench say more. */
function placeText({ backend, experts }: EngineDescription): string {
  if (backend === "cuda") return "on the GPU"
  const isPacked =
    typeof experts === "object" &&
    experts !== null &&
    "place" in experts &&
    experts.place === "packed"
  return isPacked
    ? "on the CPU, all in memory"
    : "on the CPU, experts read from the file as they are used"
}
