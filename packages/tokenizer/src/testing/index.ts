export { byteTokenizer } from "./byte-tokenizer.ts"
export { DEEPSEEK_V3_TOKENIZER } from "./deepseek-v3.ts"
export { smallDocument, withFiles, type TokenizerDocument } from "./small-vocabulary.ts"
