/** What one reader did and what it cost. Printed by the reader's process, read by `main`. */

export interface Measured {
  readonly activities: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakMiB: number
}

/** Runs `read`, which gives the number of activities, and prints the measures. Loading of modules is not counted. */
export const measure = async (read: () => Promise<number>): Promise<void> => {
  const start = process.hrtime.bigint()
  const cpuStart = process.cpuUsage()
  const activities = await read()
  const cpu = process.cpuUsage(cpuStart)
  const measured: Measured = {
    activities,
    seconds: Number(process.hrtime.bigint() - start) / 1e9,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    peakMiB: process.resourceUsage().maxRSS / 1024,
  }
  process.stdout.write(`${JSON.stringify(measured)}\n`)
}
