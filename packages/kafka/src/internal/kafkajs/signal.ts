/**
 * Tells what waits in a call of kafkajs that something has changed. Whoever waits is forgotten afterwards: a promise that lives
 * as long as the member would keep something of each call that was ever raced with it.
 */
export interface Signal {
  readonly notify: () => void
  /** Resolves at the next notification, or after `limit` milliseconds. */
  readonly wait: (limit: number) => Promise<void>
  /** What the call answers; `instead`, which may throw, if a notification comes first. */
  readonly race: <A>(call: Promise<A>, instead: () => A) => Promise<A>
}

export const make = (): Signal => {
  const waiting = new Set<() => void>()

  return {
    notify: () => {
      for (const wake of [...waiting]) wake()
    },
    wait: (limit) =>
      new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer)
          waiting.delete(end)
          resolve()
        }
        const timer = setTimeout(end, limit)
        waiting.add(end)
      }),
    race: (call, instead) =>
      new Promise((resolve, reject) => {
        const wake = () => {
          waiting.delete(wake)
          try {
            resolve(instead())
          } catch (error) {
            reject(error)
          }
        }
        waiting.add(wake)
        call.then(resolve, reject).finally(() => waiting.delete(wake))
      }),
  }
}
