// Decides who may call, by Host header, API key and origin. Pure functions over a request.
import { timingSafeEqual } from "node:crypto"
import { ApiError } from "./api-error.ts"

export interface AccessRules {
  /** Any of these opens the server; none: everybody may call. */
  apiKeys: readonly string[]
  /** True if only this machine can connect. */
  isLoopback: boolean
  /** Names for the Host header besides addresses and localhost; "*" stands for all. */
  allowedHosts: readonly string[]
  corsAnyOrigin: boolean
  corsOrigins: readonly string[]
}

const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/i

/** Host without port and without the dot that ends a full name, lower case. */
function hostName(header: string): string {
  return header.replace(/:\d*$/, "").replace(/\.$/, "").toLowerCase()
}

/**
 * Refuses a foreign Host name with 403 where no key is set, on whatever address the server listens.
 * A web page that rebinds its name sends one: it has no address, localhost or configured name.
 * Programs of HTTP/1.0 send no Host; browsers always do.
 */
export function checkHost(header: string | null, rules: AccessRules): void {
  if (rules.apiKeys.length > 0 || header === null) return
  const name = hostName(header)
  if (
    ADDRESS.test(name) ||
    name === "localhost" ||
    rules.allowedHosts.some((allowed) => allowed === "*" || hostName(allowed) === name)
  )
    return
  throw new ApiError(
    "FORBIDDEN",
    `host "${name}" is not allowed; add it with --allow-host or set --api-key`,
    { reason: "host_not_allowed" },
  )
}

const READING_METHODS = new Set(["GET", "HEAD", "OPTIONS"])

/**
 * A browser lets any web page send a plain POST here and only hides the answer from it. The work
 * would be done all the same. A page cannot know the key. Without one, an Origin must therefore be
 * this server's own or one that CORS allows, else 403. Programs send no Origin.
 */
export function checkOrigin(
  { method, headers }: Pick<Request, "method" | "headers">,
  rules: AccessRules,
): void {
  const origin = headers.get("origin")
  if (origin === null || rules.apiKeys.length > 0 || READING_METHODS.has(method)) return
  if (rules.corsAnyOrigin || rules.corsOrigins.includes(origin)) return
  const host = headers.get("host")
  if (host !== null && [`http://${host}`, `https://${host}`].includes(origin)) return
  throw new ApiError(
    "FORBIDDEN",
    `a web page of ${origin} may not use this server; allow it with --cors-origin or set --api-key`,
    { reason: "origin_not_allowed" },
  )
}

/** Accepts `Authorization: Bearer K` or `x-api-key: K`, compared in constant time. */
export function checkKey(headers: Headers, rules: AccessRules): void {
  if (rules.apiKeys.length === 0) return
  const given = sentKey(headers)
  if (given !== null && isOneOf(given, rules.apiKeys)) return
  throw new ApiError(
    "UNAUTHENTICATED",
    given === null
      ? "no API key was sent; use Authorization: Bearer KEY or x-api-key"
      : "the API key is wrong",
    {
      reason: "invalid_api_key",
      headers: { "www-authenticate": "Bearer" },
    },
  )
}

/**
 * The one who may read what a request leaves on this server: a digest of its key, from which the
 * key cannot be read. Without keys everybody is the same one.
 */
export function ownerOf(headers: Headers, rules: AccessRules): string {
  const key = rules.apiKeys.length === 0 ? null : sentKey(headers)
  return key === null ? "" : new Bun.CryptoHasher("sha256").update(`owner\n${key}`).digest("hex")
}

function sentKey(headers: Headers): string | null {
  const bearer = /^Bearer\s+(.+)$/i.exec(headers.get("authorization") ?? "")?.[1]
  return (bearer ?? headers.get("x-api-key"))?.trim() ?? null
}

/**
 * Compares with every key, and hashes first: neither content nor length nor place shows in the
 * time taken.
 */
function isOneOf(given: string, keys: readonly string[]): boolean {
  const digest = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest()
  const hashed = digest(given)
  return keys.filter((key) => timingSafeEqual(hashed, digest(key))).length > 0
}

/** CORS headers for this request's origin, or none. */
export function corsHeaders(headers: Headers, rules: AccessRules): Record<string, string> {
  const origin = headers.get("origin")
  const isAllowed = rules.corsAnyOrigin || (origin !== null && rules.corsOrigins.includes(origin))
  if (!isAllowed) return {}
  return {
    "access-control-allow-origin": rules.corsAnyOrigin ? "*" : (origin ?? ""),
    "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
    "access-control-allow-headers": headers.get("access-control-request-headers") ?? "*",
    "access-control-max-age": "600",
    ...(rules.corsAnyOrigin ? {} : { vary: "Origin" }),
  }
}

/** Whether a listening address can only be reached from this machine. */
export function isLoopbackAddress(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || host.startsWith("127.")
}
