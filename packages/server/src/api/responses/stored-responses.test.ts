// Responses that are asked for, listed, deleted and kept, as the openai client does it.
import { afterEach, expect, test } from "bun:test"
import { readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { ServerSettings } from "../../settings.ts"
import { encodeResponseFile } from "../../stored-responses/response-file.ts"
import {
  endAll,
  failureOf,
  lastPrompt,
  model,
  serve,
  temporaryFolder,
} from "../../testing/stored-responses.ts"

afterEach(endAll)

const UNKNOWN = `resp_${"0".repeat(32)}`

test("a response is retrieved as it was answered, and deleted", async () => {
  const { client } = serve()
  const made = await client.responses.create({
    model,
    input: "hi",
    reasoning: { summary: "auto" },
    metadata: { label: "x" },
  })
  expect(await client.responses.retrieve(made.id)).toEqual(made)
  const deleted: unknown = await client.delete(`/responses/${made.id}`)
  expect(deleted).toEqual({ id: made.id, object: "response", deleted: true })
  const missing = { status: 404, code: "response_not_found", type: "not_found_error" }
  expect(await failureOf(client.responses.retrieve(made.id))).toMatchObject(missing)
  expect(await failureOf(client.responses.delete(made.id))).toMatchObject(missing)
  expect(await failureOf(client.responses.inputItems.list(made.id))).toMatchObject(missing)
  expect(
    await failureOf(client.responses.create({ model, input: "a", previous_response_id: made.id })),
  ).toMatchObject({
    status: 404,
    code: "previous_response_not_found",
    param: "previous_response_id",
  })
})

test("input items are listed with those of the responses before, page by page", async () => {
  const { client } = serve()
  const first = await client.responses.create({ model, input: "one?" })
  const second = await client.responses.create({
    model,
    input: [
      { role: "user", content: "two?" },
      { id: "msg_own", role: "user", content: "three?" } as { role: "user"; content: string },
    ],
    previous_response_id: first.id,
  })
  const textOf = (item: unknown) =>
    (item as { content: { type: string; text: string }[] }).content
      .map(({ type, text }) => `${type} ${text}`)
      .join()
  const all = ["input_text one?", "output_text The answer is 7.", "input_text two?"]
  all.push("input_text three?")
  const ascending = await client.responses.inputItems.list(second.id, { order: "asc" })
  expect(ascending.data.map(textOf)).toEqual(all)
  expect(ascending.data.at(-1)?.id).toBe("msg_own")
  expect(ascending.has_more).toBe(false)
  const pages: string[] = []
  for await (const item of client.responses.inputItems.list(second.id, { limit: 2 }))
    pages.push(textOf(item))
  expect(pages).toEqual(all.toReversed())
  for (const query of [{ limit: 0 }, { limit: 101 }, { order: "up" as "asc" }, { after: "msg_x" }])
    expect(await failureOf(client.responses.inputItems.list(second.id, query))).toMatchObject({
      status: 400,
      param: Object.keys(query)[0] ?? "",
    })
})

test("store: false leaves nothing behind", async () => {
  const { client } = serve()
  const made = await client.responses.create({ model, input: "hi", store: false })
  expect(made).toMatchObject({ store: false })
  expect(await failureOf(client.responses.retrieve(made.id))).toMatchObject({ status: 404 })
  const next = client.responses.create({ model, input: "a", previous_response_id: made.id })
  expect(await failureOf(next)).toMatchObject({ code: "previous_response_not_found" })
})

test("a server that stores none says so, and so does one with too small a limit", async () => {
  for (const limits of [
    { count: 0, bytes: 2 ** 20 },
    { count: 10, bytes: 1000 },
  ]) {
    const { client } = serve((settings) => void (settings.storedResponses = limits))
    const made = await client.responses.create({ model, input: "long ".repeat(300) })
    expect(made).toMatchObject({ store: false })
    expect(await failureOf(client.responses.retrieve(made.id))).toMatchObject({ status: 404 })
  }
})

test("the oldest response goes first; a chain goes on beyond the limit of responses", async () => {
  const served = serve((settings) => void (settings.storedResponses = { count: 2, bytes: 2 ** 20 }))
  const { client } = served
  const ids: string[] = []
  for (const input of ["one?", "two?", "three?", "four?"]) {
    const previous = ids.at(-1)
    const more = previous === undefined ? {} : { previous_response_id: previous }
    ids.push((await client.responses.create({ model, input, ...more })).id)
  }
  expect(lastPrompt(served)).toMatch(/one\?.*two\?.*three\?.*four\?/s)
  const statuses = await Promise.all(
    ids.map(async (id) => (await fetch(`${served.server.url}/v1/responses/${id}`)).status),
  )
  expect(statuses).toEqual([404, 404, 200, 200])
})

test("a response that went in the middle does not break those after it", async () => {
  const served = serve()
  const { client } = served
  const first = await client.responses.create({ model, input: "one?" })
  const more = { model, previous_response_id: first.id }
  const second = await client.responses.create({ ...more, input: "two?" })
  await client.responses.delete(first.id)
  await client.responses.create({ model, input: "three?", previous_response_id: second.id })
  expect(lastPrompt(served)).toMatch(/one\?.*two\?.*three\?/s)
  expect(await failureOf(client.responses.create({ ...more, input: "a" }))).toMatchObject({
    status: 404,
  })
})

test("a response is there for the key that made it alone", async () => {
  const { clientOf } = serve(({ access }) => void (access.apiKeys = ["mine", "theirs"]))
  const made = await clientOf("mine").responses.create({ model, input: "hi" })
  expect((await clientOf("mine").responses.retrieve(made.id)).id).toBe(made.id)
  const theirs = clientOf("theirs").responses
  const reference = { type: "item_reference" as const, id: made.output[0]?.id ?? "" }
  for (const work of [
    theirs.retrieve(made.id),
    theirs.delete(made.id),
    theirs.inputItems.list(made.id),
    theirs.create({ model, input: "a", previous_response_id: made.id }),
    theirs.create({ model, input: [reference] }),
  ])
    expect(await failureOf(work)).toMatchObject({ status: 404 })
  const foreign = (await failureOf(theirs.retrieve(made.id))) as Error
  const unknown = (await failureOf(theirs.retrieve(UNKNOWN))) as Error
  expect(foreign.message.replace(made.id, UNKNOWN)).toBe(unknown.message)
  expect((await clientOf("mine").responses.retrieve(made.id)).id).toBe(made.id)
})

test("responses are there after a restart, in private files, and go on", async () => {
  const folder = temporaryFolder()
  const inFolder = (settings: ServerSettings) =>
    void (settings.storedResponsesFolder = join(folder, "kept"))
  const before = serve(inFolder)
  const first = await before.client.responses.create({ model, input: "one?" })
  const second = await before.client.responses.create({
    model,
    input: "two?",
    previous_response_id: first.id,
  })
  const gone = await before.client.responses.create({ model, input: "other?" })
  await before.client.responses.delete(gone.id)
  // The process could be killed now: what a client has been told is in its file.
  const files = readdirSync(join(folder, "kept"))
  expect(files.toSorted()).toEqual([first, second].map(({ id }) => `${id}.response`).toSorted())
  expect(statSync(join(folder, "kept")).mode & 0o777).toBe(0o700)
  for (const file of files) expect(statSync(join(folder, "kept", file)).mode & 0o777).toBe(0o600)
  const after = serve(inFolder)
  expect(await after.client.responses.retrieve(second.id)).toEqual(second)
  await after.client.responses.create({ model, input: "three?", previous_response_id: second.id })
  expect(lastPrompt(after)).toMatch(/one\?.*7\..*two\?.*7\..*three\?/s)
  // Another server on the same folder finds what this one has written since.
  const late = await before.client.responses.create({ model, input: "late?" })
  expect((await after.client.responses.retrieve(late.id)).id).toBe(late.id)
  expect([...before.server.notes, ...after.server.notes]).toEqual([])
})

test("a foreign file of the right checksum is not found; it can be deleted", async () => {
  const folder = temporaryFolder()
  const { client } = serve((settings) => void (settings.storedResponsesFolder = folder))
  const made = await client.responses.create({ model, input: "one?" })
  for (const [name, items, response] of [
    ["items", "[".repeat(1000), "{}"],
    ["response", '{"input":[]}', "no JSON"],
  ] as const) {
    const id = `resp_${(name === "items" ? "a" : "b").repeat(32)}`
    const parts = { items: Buffer.from(items), response: Buffer.from(response) }
    const stored = { id, previous: made.id, owner: "", itemIds: [], ...parts }
    writeFileSync(join(folder, `${id}.response`), encodeResponseFile(stored))
    expect(await failureOf(client.responses.retrieve(id))).toMatchObject({ status: 404 })
    if (name === "items")
      for (const work of [
        client.responses.create({ model, input: "a", previous_response_id: id }),
        client.responses.inputItems.list(id),
      ])
        expect(await failureOf(work)).toMatchObject({ status: 404 })
    await client.responses.delete(id)
  }
  expect(readdirSync(folder)).toEqual([`${made.id}.response`])
})
