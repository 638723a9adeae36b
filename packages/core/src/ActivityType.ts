/**
 * The activity types of an instance, standard and custom: `Activities.types`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const textOrNone = Schema.optionalWith(Schema.String, { as: "Option", nullable: true })

/**
 * Name and type of an attribute. `dataType` is one of the field types or another word: treat an unknown one as a string.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ActivityTypeAttribute = Schema.Struct({
  name: Schema.String,
  dataType: Schema.String,
  apiName: textOrNone,
}).annotations({ identifier: "ActivityTypeAttribute" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ActivityTypeAttribute extends Schema.Schema.Type<typeof ActivityTypeAttribute> {}

/**
 * Custom types have ids from 100000 up. New Lead (12) was seen without a primary attribute.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ActivityType = Schema.Struct({
  id: Schema.Int,
  name: Schema.String,
  apiName: textOrNone,
  description: textOrNone,
  primaryAttribute: Schema.optionalWith(ActivityTypeAttribute, { as: "Option", nullable: true }),
  attributes: Schema.optionalWith(Schema.Array(ActivityTypeAttribute), { default: () => [], nullable: true }),
}).annotations({ identifier: "ActivityType" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ActivityType extends Schema.Schema.Type<typeof ActivityType> {}
