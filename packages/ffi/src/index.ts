export {
  struct,
  Struct,
  type Field,
  type Fields,
  type ReadValues,
  type Scalar,
  type StructValues,
} from "./layout.ts"
export {
  findLibrary,
  openLibrary,
  LibraryError,
  type AbiVersion,
  type LibraryErrorCode,
  type LibrarySource,
} from "./library.ts"
export { statusCheck, type Check, type StatusErrors } from "./status.ts"
export { cString, readText } from "./text.ts"
