/**
 * Who reads: a pipeline's name at a Marketo instance, as a consumer group has a name at a cluster. Positions hang on it,
 * so two instances never share one, and a feed may change under a name that stays.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export interface Subscription {
  /** The pipeline's name. */
  readonly name: string
  /** The instance's Munchkin id, or its host. */
  readonly instance: string
}

/**
 * One text for a subscription, to store its checkpoint under. An instance has no slash, so it is unique.
 *
 * @since 0.1.0
 * @category conversions
 */
export const key = (self: Subscription): string => `${self.instance}/${self.name}`
