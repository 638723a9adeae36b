/**
 * A time limit by a timer, and not by Effect's: where a caller must not be interrupted that one could not end what it waits for, and
 * it takes two fibers, which is much for the commit behind each call. Where no time is left nothing is called.
 */
export const within = <A>(
  limit: number,
  call: () => Promise<A>,
  late: () => unknown,
  interrupted: AbortSignal,
): Promise<A> =>
  new Promise((resolve, reject) => {
    if (limit <= 0) return reject(late())
    const timer = setTimeout(() => reject(late()), limit)
    interrupted.addEventListener("abort", () => clearTimeout(timer))
    call()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
