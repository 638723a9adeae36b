/**
 * Folders that belong to a process: `<prefix><process id>-<random>`. What a killed process left behind is found by its id.
 *
 * @since 0.1.0
 */
import * as fs from "node:fs/promises"
import * as path from "node:path"

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== "ESRCH"
  }
}

/** With retries, for a program in it that was just killed may write its last. */
export const remove = (folder: string): Promise<void> => fs.rm(folder, { recursive: true, force: true, maxRetries: 5 })

/** Makes a folder of this process, after removing those of processes that are gone. */
export const make = async (parent: string, prefix: string): Promise<string> => {
  const abandoned = (await fs.readdir(parent)).filter((name) => {
    const pid = name.startsWith(prefix) ? /^(\d+)-/.exec(name.slice(prefix.length))?.[1] : undefined
    return pid !== undefined && !isAlive(Number(pid))
  })
  // another user's stay
  await Promise.allSettled(abandoned.map((name) => remove(path.join(parent, name))))
  return fs.mkdtemp(path.join(parent, `${prefix}${process.pid}-`))
}
