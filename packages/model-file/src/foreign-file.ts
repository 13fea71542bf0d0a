// Files that people give in place of a model, known by their first bytes.
const LFS_POINTER = "version https://git-lfs.github.com/spec/"

/** Enough of a file's beginning for foreignFile. */
export const FOREIGN_HEAD_BYTES = 256

/**
 * Says what a file is that does not begin as a model file does, and what to do. Undefined when its
 * beginning is not known.
 * @param head its first FOREIGN_HEAD_BYTES, or all of a shorter file
 */
export function foreignFile(head: Uint8Array): string | undefined {
  if (head.length === 0) return "the file is empty: download or copy it again"
  const text = new TextDecoder("latin1").decode(head.subarray(0, FOREIGN_HEAD_BYTES))
  if (text.startsWith(LFS_POINTER)) {
    const size = /\nsize (\d+)/.exec(text)?.[1]
    const what = size === undefined ? "a file" : `a file of ${size} bytes`
    return `is a Git LFS pointer, which stands for ${what}; fetch the file itself with git lfs pull`
  }
  if (/^\s*<(?:!doctype|html|\?xml)/i.test(text))
    return "is a web page, perhaps the answer to a download; download the file itself"
  if (text.startsWith("GGUF")) return "is a GGUF file: name it as the model itself"
  if (/^(?:ggml|ggjt|ggla|ggmf|lmgg|tjgg|algg|fmgg)/.test(text))
    return "is a ggml file from before GGUF; get the model as GGUF"
  if (text.startsWith("PK\x03\x04") || text.startsWith("\x80\x02"))
    return "is a PyTorch or zip file; get the model as safetensors or GGUF"
  if (/^.{8}\{\s*"/s.test(text))
    return "is a safetensors file; name the folder that holds it with its config.json"
  if (head.subarray(0, FOREIGN_HEAD_BYTES).every((byte) => byte === 0))
    return "begins with zeros, as an unfinished download does; download it again"
  return undefined
}
