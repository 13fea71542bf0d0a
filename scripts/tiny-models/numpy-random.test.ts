import { expect, test } from "bun:test"
import { NumpyRandom } from "./numpy-random.ts"

test("numbers are those of numpy.random.Generator(PCG64([1, 2])) 2.4.6", () => {
  const random = new NumpyRandom(1, 2)
  const normal = [...random.standardNormal(8)].slice(4)
  const recorded = [1.0947010181675987, -0.6273415357923112, 0.8746896232010914, 0.9207905721146274]
  for (const [index, value] of recorded.entries()) expect(normal[index]).toBeCloseTo(value, 12)
  expect(random.integers(-1, 2, 12)).toEqual([-1, 0, -1, 1, 1, 1, 0, -1, -1, -1, 0, -1])
  expect(random.permutation(6)).toEqual([4, 0, 1, 3, 2, 5])
  expect(random.uniform(-0.2, 0.2, 2)).toEqual([-0.0026281607354460834, 0.061374423472022654])
})

test("a long draw reaches every branch of the ziggurat and ends where numpy's does", () => {
  const values = new NumpyRandom(3, 4294967295).standardNormal(100_000)
  expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(50.7198645437267, 6)
  expect(Math.max(...values)).toBeCloseTo(4.373530371793714, 12)
  expect(Math.min(...values)).toBeCloseTo(-4.1400899798656265, 12)
  expect(values.at(-1)).toBeCloseTo(-0.1573831465852522, 12)
})
