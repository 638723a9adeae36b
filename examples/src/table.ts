/** Names and numbers for a person to read, the numbers in one column. */
export const table = (rows: ReadonlyArray<readonly [name: string, value: number]>): string => {
  const cells = rows.map(([name, value]) => [name, value.toLocaleString("en")] as const)
  const left = Math.max(...cells.map(([name]) => name.length))
  const right = Math.max(...cells.map(([, value]) => value.length))
  return cells.map(([name, value]) => `${name.padEnd(left)}  ${value.padStart(right)}`).join("\n")
}
