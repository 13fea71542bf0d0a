// The API page in Chromium, as a person uses it. Skipped where no Chromium is installed.
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import puppeteer, { type Browser, type ElementHandle, type Page } from "puppeteer-core"
import { type Listening, listen } from "../testing/harness.ts"

const CHROMIUM =
  Bun.which("chromium") ?? Bun.which("chromium-browser") ?? Bun.which("google-chrome")
const KEY = "secret"

/** Without a sandbox: containers run as root, and the page is our own. */
const FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]

describe.skipIf(CHROMIUM === null)("the API page in Chromium", () => {
  let browser: Browser
  const open: Listening = listen()
  const locked = listen({ settings: ({ access }) => void (access.apiKeys = [KEY]) })
  beforeAll(async () => {
    browser = await puppeteer.launch({ executablePath: CHROMIUM ?? "", args: FLAGS })
  }, 240_000)
  afterAll(async () => {
    await browser.close()
    await open.stop()
    await locked.stop()
  })

  async function pageOf(server: Listening, complaints: string[]): Promise<Page> {
    const page = await browser.newPage()
    await page.setViewport({ width: 1200, height: 900 })
    page.on("pageerror", (error) => complaints.push(String(error)))
    page.on("requestfailed", (request) => complaints.push(request.url()))
    await page.goto(`${server.url}/swagger`)
    await page.waitForSelector(".opblock")
    return page
  }

  /** Runs the example of one operation; gives its path and the status that the page shows. */
  async function execute(page: Page, block: ElementHandle): Promise<[string, string]> {
    const name = await block.$eval(".opblock-summary", (each) => each.textContent ?? "")
    const click = async (selector: string): Promise<void> => {
      await page.waitForSelector(`#${id} ${selector}`)
      await block.$eval(selector, (each) => (each as unknown as { click(): void }).click())
    }
    const id = await block.evaluate((each) => each.id)
    await click(".opblock-summary-control")
    await click(".try-out__btn")
    await click(".execute")
    await page.waitForSelector(`#${id} .live-responses-table .response-col_status`)
    const status = await block.$eval(
      ".live-responses-table tbody .response-col_status",
      (each) => each.textContent ?? "",
    )
    await click(".opblock-summary-control") // closed: the page draws all open ones again and again
    return [name, status.trim()]
  }

  test("runs the example of every operation", async () => {
    const complaints: string[] = []
    const page = await pageOf(open, complaints)
    const blocks = await page.$$(".opblock")
    expect(blocks).toHaveLength(25)
    for (const block of blocks) {
      const [name, status] = await execute(page, block)
      const isAbsent = /\/v1\/(responses|requests|kv)\/\W*\{id\}/.test(name)
      expect([name, status]).toEqual([name, isAbsent ? "404" : "200"])
    }
    // An answer of 404 is no failed request, and nothing else failed.
    expect(complaints).toEqual([])
    expect(await page.$(".errors-wrapper")).toBeNull()
  }, 480_000)

  test("opens with a key set, which Authorize takes", async () => {
    const page = await pageOf(locked, [])
    const listed = async (): Promise<string> => {
      const block = await page.$('[id$="get_v1_models"]')
      if (block === null) throw new Error("the page does not list /v1/models")
      return (await execute(page, block))[1]
    }
    expect(await listed()).toBe("401")
    await page.click(".btn.authorize")
    const input = await page.waitForSelector(".auth-container input")
    await input?.type(KEY)
    await page.click(".auth-btn-wrapper .authorize")
    await page.click(".auth-btn-wrapper .btn-done")
    await page.reload() // the page keeps the key
    await page.waitForSelector(".opblock")
    expect(await listed()).toBe("200")
  }, 480_000)
})
