export { createApp, type App, type AppDependencies } from "./app.ts"
export { main } from "./main.ts"
