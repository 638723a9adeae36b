/**
 * A time limit by a timer, and not by Effect's: where a caller must not be interrupted that one could not end what it waits for, and
 * it takes two fibers, which is much for the commit behind each call.
 */
export const within = <A>(limit: number, call: () => Promise<A>, late: () => unknown): Promise<A> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), limit)
    call()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
