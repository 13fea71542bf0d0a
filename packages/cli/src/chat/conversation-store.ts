import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import type { Message } from "@ds4/chat"
import { writeTextOutput } from "@ds4/model-file"
import { CliError, EXIT, messageOf, usageError } from "../errors.ts"

/** A conversation as it lies on disk. */
interface SavedConversation {
  readonly version: 1
  readonly model: string
  readonly system: string | undefined
  readonly isUnfinished: boolean
  readonly messages: readonly Message[]
}

interface StoredEntry {
  readonly name: string
  readonly savedAt: Date
}

const ROLES: ReadonlySet<unknown> = new Set([
  "system",
  "developer",
  "user",
  "assistant",
  "tool",
  "latest_reminder",
])

function isMessage(value: unknown): value is Message {
  if (typeof value !== "object" || value === null || !("role" in value) || !("content" in value))
    return false
  const reasoning = "reasoning" in value ? value.reasoning : undefined
  return (
    ROLES.has(value.role) &&
    typeof value.content === "string" &&
    (reasoning === undefined || typeof reasoning === "string")
  )
}

/** Checks what a file holds before any of it is used. */
function parseSaved(path: string, text: string): SavedConversation {
  const bad = (why: string) =>
    new CliError(EXIT.failed, `${path} is not a saved conversation: ${why}`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw bad(messageOf(error))
  }
  if (typeof value !== "object" || value === null || !("version" in value) || value.version !== 1)
    throw bad("expected version 1")
  const messages: unknown = "messages" in value ? value.messages : undefined
  if (!Array.isArray(messages) || !messages.every(isMessage))
    throw bad("expected messages with a role and a text content")
  const system = "system" in value && typeof value.system === "string" ? value.system : undefined
  const model = "model" in value && typeof value.model === "string" ? value.model : ""
  return {
    version: 1,
    model,
    system,
    messages,
    isUnfinished: "isUnfinished" in value && value.isUnfinished === true,
  }
}

/** Saved conversations in the state folder, readable by their owner only. */
export class ConversationStore {
  constructor(private readonly folder: string) {}

  async save(name: string, conversation: SavedConversation): Promise<string> {
    const path = this.pathOf(name)
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    await writeTextOutput(path, `${JSON.stringify(conversation, undefined, 2)}\n`, {
      overwrite: true,
      mode: 0o600,
    })
    return path
  }

  load(name: string): SavedConversation {
    const path = this.pathOf(name)
    if (!existsSync(path))
      throw usageError(`there is no saved conversation "${name}" (/list shows them)`)
    return parseSaved(path, readFileSync(path, "utf8"))
  }

  remove(name: string): void {
    const path = this.pathOf(name)
    if (!existsSync(path))
      throw usageError(`there is no saved conversation "${name}" (/list shows them)`)
    rmSync(path)
  }

  list(): StoredEntry[] {
    if (!existsSync(this.folder)) return []
    return readdirSync(this.folder)
      .filter((file) => file.endsWith(".json"))
      .map((file) => ({
        name: file.slice(0, -".json".length),
        savedAt: statSync(join(this.folder, file)).mtime,
      }))
      .toSorted((a, b) => b.savedAt.getTime() - a.savedAt.getTime())
  }

  private pathOf(name: string): string {
    if (!/^[\p{L}\p{N}][\p{L}\p{N}._-]{0,99}$/u.test(name)) {
      throw usageError(
        `"${name}" cannot be a conversation's name: letters, digits, dot, dash and underscore, ` +
          `beginning with a letter or digit`,
      )
    }
    return join(this.folder, `${name}.json`)
  }
}
