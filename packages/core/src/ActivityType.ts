/**
 * The activity types of an instance, standard and custom: `Activities.types`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as lenient from "./internal/lenient.js"

/**
 * Name and type of an attribute. `dataType` is one of the field types or another word: treat an unknown one as a string.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ActivityTypeAttribute = Schema.Struct({
  name: Schema.String,
  dataType: lenient.text,
  apiName: lenient.text,
}).annotations({ identifier: "ActivityTypeAttribute" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ActivityTypeAttribute extends Schema.Schema.Type<typeof ActivityTypeAttribute> {}

/**
 * Custom types have ids from 100000 up. New Lead (12) was seen without a primary attribute. Only `id` and `name` must be there
 * and right; another member of an unusual type is read as absent, and so is an attribute without a name.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ActivityType = Schema.Struct({
  id: Schema.Int,
  name: Schema.String,
  apiName: lenient.text,
  description: lenient.text,
  primaryAttribute: lenient.option(ActivityTypeAttribute),
  attributes: lenient.list(ActivityTypeAttribute),
}).annotations({ identifier: "ActivityType" })

/**
 * @since 0.1.0
 * @category models
 */
export interface ActivityType extends Schema.Schema.Type<typeof ActivityType> {}
