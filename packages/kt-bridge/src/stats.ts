// Reads and checks the report of ktb_engine_describe.
import { ExpertPoolError } from "./errors.ts"

export interface PartStats {
  /** NUMA node that its memory is bound to, -1 when the machine has one node. */
  node: number
  /** CPU of each worker, -1 when workers outnumber cores and share them. */
  cores: number[]
  weightBytes: number
}

/** A layer that has memory for fewer than its experts. */
export interface LayerSlots {
  layer: number
  slots: number
  experts: number
}

/**
 * The measurement for the layers of one kind, made when the first of them was loaded, and the
 * choices that follow from it.
 */
export interface CalibrationStats {
  gateUp: string
  down: string
  hidden: number
  moeIntermediateSize: number
  /** Tokens of the busiest expert up to which a call runs in the form for few tokens. */
  fusedTokens: number
  /** With `isa: "fastest"`: tokens of an expert from which it goes to the tile unit, 0 never. */
  tileTokens: number
  kernels: { fromTokens: number; isa: string }[]
  /** Least time of one call in which every expert has so many tokens. */
  trials: { tokens: number; isa: string; form: string; us: number }[]
  /** Kernels that do not compute what they should on this CPU. */
  excluded: { isa: string; reason: string }[]
  /** All of it. */
  us: number
}

export interface ExpertPoolStats {
  isa: string
  numerics: string
  workers: number
  /** More workers than cores: correct, but slow. */
  isOversubscribed: boolean
  layers: number
  /**
   * Types of the layers' weights, and the arithmetic that the engine's numerics means for them.
   */
  methods: { gateUp: string; down: string; isa: string; numerics: string; layers: number }[]
  /** Slots of the layers that have fewer slots than experts. */
  slots: LayerSlots[]
  calibration: CalibrationStats[]
  parts: PartStats[]
  /** Memory of the weights, as the kernel counts it; huge pages are 2 MiB or more. */
  residentBytes: number
  hugePageBytes: number
  lastForwardUs: { prepare: number; experts: number; reduce: number }
}

type Json = { readonly [key: string]: unknown }

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

function field<T>(object: Json, key: string, isRight: (value: unknown) => value is T): T {
  const value = object[key]
  if (!isRight(value))
    throw new ExpertPoolError("INTERNAL", `the library's description has no usable "${key}"`)
  return value
}
const isNumber = (value: unknown): value is number => typeof value === "number"
const isText = (value: unknown): value is string => typeof value === "string"
const isFlag = (value: unknown): value is boolean => typeof value === "boolean"
const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every(isNumber)
const isObjects = (value: unknown): value is Json[] => Array.isArray(value) && value.every(isObject)

function parseCalibration(entry: Json): CalibrationStats {
  return {
    gateUp: field(entry, "gate_up", isText),
    down: field(entry, "down", isText),
    hidden: field(entry, "hidden", isNumber),
    moeIntermediateSize: field(entry, "intermediate", isNumber),
    fusedTokens: field(entry, "fused_tokens", isNumber),
    tileTokens: field(entry, "tile_tokens", isNumber),
    kernels: field(entry, "kernels", isObjects).map((from) => ({
      fromTokens: field(from, "from_tokens", isNumber),
      isa: field(from, "isa", isText),
    })),
    trials: field(entry, "trials", isObjects).map((trial) => ({
      tokens: field(trial, "tokens", isNumber),
      isa: field(trial, "isa", isText),
      form: field(trial, "form", isText),
      us: field(trial, "us", isNumber),
    })),
    excluded: field(entry, "excluded", isObjects).map((table) => ({
      isa: field(table, "isa", isText),
      reason: field(table, "reason", isText),
    })),
    us: field(entry, "us", isNumber),
  }
}

export function parseStats(text: string): ExpertPoolStats {
  const root: unknown = JSON.parse(text)
  if (!isObject(root))
    throw new ExpertPoolError("INTERNAL", "the library's description is no object")
  const times = field(root, "last_forward_us", isObject)
  return {
    isa: field(root, "isa", isText),
    numerics: field(root, "numerics", isText),
    workers: field(root, "workers", isNumber),
    isOversubscribed: field(root, "oversubscribed", isFlag),
    layers: field(root, "layers", isNumber),
    methods: field(root, "methods", isObjects).map((method) => ({
      gateUp: field(method, "gate_up", isText),
      down: field(method, "down", isText),
      isa: field(method, "isa", isText),
      numerics: field(method, "numerics", isText),
      layers: field(method, "layers", isNumber),
    })),
    slots: (root.slots === undefined ? [] : field(root, "slots", isObjects)).map((entry) => ({
      layer: field(entry, "layer", isNumber),
      slots: field(entry, "slots", isNumber),
      experts: field(entry, "experts", isNumber),
    })),
    calibration: field(root, "calibration", isObjects).map(parseCalibration),
    parts: field(root, "parts", isObjects).map((part) => ({
      node: field(part, "node", isNumber),
      cores: field(part, "cores", isNumbers),
      weightBytes: field(part, "weight_bytes", isNumber),
    })),
    residentBytes: field(root, "resident_bytes", isNumber),
    hugePageBytes: field(root, "huge_page_bytes", isNumber),
    lastForwardUs: {
      prepare: field(times, "prepare", isNumber),
      experts: field(times, "experts", isNumber),
      reduce: field(times, "reduce", isNumber),
    },
  }
}
