/** Prefix + 32 random hex digits. */
export function randomId(prefix: string): string {
  return prefix + crypto.randomUUID().replaceAll("-", "")
}
