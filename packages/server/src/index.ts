export { createApp, type App, type AppDependencies } from "./app.ts"
export { main } from "./main.ts"
export { openApp, type OpenedApp } from "./open-app.ts"
export type { ServeOptions } from "./settings.ts"
