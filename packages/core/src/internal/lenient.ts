/**
 * Schemas for metadata that Marketo describes: a member that is not what it should be counts as absent, and a list keeps the
 * elements that can be read. So one odd type does not make the others unreadable.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** `None` if it is absent, `null` or not what `schema` says. */
export const option = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownOption(schema)
  const encode = Schema.encodeSync(schema)
  return Schema.optionalToRequired(Schema.Unknown, Schema.OptionFromSelf(Schema.typeSchema(schema)), {
    decode: Option.flatMap(decode),
    encode: Option.map(encode),
  })
}

export const text = option(Schema.String)

/** The elements that can be read; empty if it is absent or no list. */
export const elements = <A, I>(schema: Schema.Schema<A, I>): ((list: unknown) => ReadonlyArray<A>) => {
  const decode = Schema.decodeUnknownOption(schema)
  return (list) => (Array.isArray(list) ? list : []).flatMap((element) => Option.toArray(decode(element)))
}

/** @see elements */
export const list = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = elements(schema)
  const encode = Schema.encodeSync(schema)
  return Schema.optionalToRequired(Schema.Unknown, Schema.Array(Schema.typeSchema(schema)), {
    decode: (found) => decode(Option.getOrUndefined(found)),
    encode: (values) => Option.some(values.map((value) => encode(value))),
  })
}
