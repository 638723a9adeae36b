/** Thrown by a codec whose output would pass the limit. `size` is what the data itself says that it unpacks to, if it does. */
export class ExceedsLimit extends Error {
  constructor(readonly size?: number) {
    super("the data unpacks to more than the limit")
  }
}

/** Thrown by a codec whose input is not what the codec writes. */
export class Damaged extends Error {}
