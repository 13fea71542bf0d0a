import { engineLibrary } from "./library.ts"
import type { ConvertRows } from "./quantize/convert-rows.ts"

/** ds4_convert_rows as quantize uses it. @throws EngineError FORMAT or ARGUMENT */
export const nativeConvertRows: ConvertRows = ({
  fromType,
  from,
  scales,
  toType,
  to,
  rowBegin,
  rows,
  cols,
}) => {
  const { symbols, check } = engineLibrary()
  check(
    "ds4_convert_rows",
    symbols.ds4_convert_rows(
      fromType,
      from,
      BigInt(from.length),
      scales ?? null,
      BigInt(scales?.length ?? 0),
      toType,
      to,
      BigInt(to.length),
      BigInt(rowBegin),
      BigInt(rows),
      BigInt(cols),
    ),
  )
}
