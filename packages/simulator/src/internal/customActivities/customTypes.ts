/** Custom activity types: what Marketo lets one do to them, and in which state it leaves them. */
import * as Either from "effect/Either"
import type { CustomType as NewCustomType } from "../../Data.js"
import { activityTypeById } from "../data/activityTypes.js"
import { fieldNotFound, type Json, members, missing, optionalText, requiredText } from "../endpoints/json.js"
import { type Refusal, refusal } from "../endpoints/outcome.js"
import type { Settings } from "../settings.js"
import type { Attribute } from "./customTypeMembers.js"
import * as read from "./customTypeMembers.js"

/** What may differ between the approved version and the draft. */
export interface Version {
  readonly name: string
  readonly description: string | undefined
  readonly triggerName: string
  readonly filterName: string
  readonly attributes: ReadonlyArray<Attribute>
}

export interface CustomType {
  readonly id: number
  readonly apiName: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  updatedAt: number
  live: Version | undefined
  draft: Version | undefined
  deleted: boolean
  /** Whether an activity of it was ever stored. */
  used: boolean
}

type Result<A> = Either.Either<A, Refusal>

const lastFreeId = 100_000
const maxSecondaryAttributes = 20

export const primaryOf = (version: Version): Attribute | undefined =>
  version.attributes.find(({ isPrimary }) => isPrimary)
export const secondaryOf = (version: Version): ReadonlyArray<Attribute> =>
  version.attributes.filter(({ isPrimary }) => !isPrimary)

/** What an edit or an answer is about: the draft, if there is one. */
export const newest = (type: CustomType): Version => (type.draft ?? type.live) as Version

export class CustomTypes {
  readonly #types: Array<CustomType> = []

  constructor(private readonly settings: Settings) {
    const { customTypes, from } = settings.data
    for (const type of customTypes) {
      Either.getOrThrowWith(
        this.add(type, from * 1_000),
        (problem) => new RangeError(`Simulator option "data.customTypes": ${problem}`),
      )
    }
  }

  /** Of a deleted type too: its activities stay. */
  byId(id: number): CustomType | undefined {
    return this.#types.find((type) => type.id === id)
  }

  /** All that are not deleted. */
  get all(): ReadonlyArray<CustomType> {
    return this.#types.filter(({ deleted }) => !deleted)
  }

  find(apiName: string): Result<CustomType> {
    return Either.fromNullable(
      this.all.find((type) => type.apiName === apiName),
      () => refusal(this.settings.quirks.codes.notFound, `Custom activity type '${apiName}' not found`),
    )
  }

  /** With the next id from 100001 on, unless it is given one. */
  create(
    body: unknown,
    now: number,
    id: number = Math.max(lastFreeId, ...this.#types.map((type) => type.id)) + 1,
  ): Result<CustomType> {
    const { limits, quirks } = this.settings
    const { codes } = quirks
    return Either.gen(this, function* () {
      const type = members(body)
      const apiName = yield* read.apiName(codes, type)
      const version: Version = {
        name: yield* read.displayName(codes, type),
        description: yield* optionalText(codes, type, "description"),
        triggerName: yield* requiredText(codes, type, "triggerName"),
        filterName: yield* requiredText(codes, type, "filterName"),
        attributes: [yield* read.primaryAttribute(codes, type)],
      }
      if (this.all.some((other) => other.apiName === apiName)) return yield* this.#exists("apiName", apiName)
      yield* this.#unique(version, undefined)
      if (this.all.length >= limits.customTypes) {
        return yield* refuse("1027")
      }
      const created: CustomType = {
        id,
        apiName,
        createdAt: now,
        updatedAt: now,
        live: undefined,
        draft: version,
        deleted: false,
        used: false,
      }
      this.#types.push(created)
      return created
    })
  }

  /**
   * Made as a caller would make it, so that no type is in a state that none can get into; or says what is wrong with
   * it.
   */
  add(
    { attributes = [], id, status = "approved", ...type }: NewCustomType,
    now: number,
  ): Either.Either<CustomType, string> {
    const { apiName, filterName = type.name, triggerName = type.name } = type
    if (id !== undefined && (this.byId(id) ?? activityTypeById.get(id)) !== undefined) {
      return Either.left(`another activity type has the id ${id} (type "${apiName}")`)
    }
    const before = this.#types.length
    return Either.gen(this, function* () {
      const created = yield* this.create({ ...type, filterName, triggerName }, now, id)
      if (attributes.length > 0) yield* this.createAttributes(apiName, { attributes }, now)
      if (status === "approved" || status === "approved with draft") yield* this.approve(apiName, now)
      if (status === "approved with draft") yield* this.update(apiName, {}, now)
      if (status === "deleted") yield* this.delete(apiName, now)
      return created
    }).pipe(
      Either.mapLeft(({ errors }) => {
        this.#types.length = before // not half of it
        return `${errors[0]?.message ?? ""} (type "${apiName}")`
      }),
    )
  }

  update(apiName: string, body: unknown, now: number): Result<CustomType> {
    const { codes } = this.settings.quirks
    const type = members(body)
    return this.#edit(apiName, now, (version) =>
      Either.gen(this, function* () {
        const newName = yield* optionalText(codes, type, "apiName")
        if (newName !== undefined && newName !== apiName) {
          return yield* this.#broken(`'apiName' of '${apiName}' cannot be changed`)
        }
        return {
          name: "name" in type ? yield* read.displayName(codes, type) : version.name,
          description: (yield* optionalText(codes, type, "description")) ?? version.description,
          triggerName: "triggerName" in type ? yield* requiredText(codes, type, "triggerName") : version.triggerName,
          filterName: "filterName" in type ? yield* requiredText(codes, type, "filterName") : version.filterName,
          attributes:
            "primaryAttribute" in type
              ? yield* this.#withPrimary(version, yield* read.primaryAttribute(codes, type))
              : version.attributes,
        }
      }),
    )
  }

  createAttributes(apiName: string, body: unknown, now: number): Result<CustomType> {
    return this.#editAttributes(apiName, body, now, (attributes, given) =>
      Either.gen(this, function* () {
        const created = yield* read.newAttribute(this.settings.quirks.codes, given, undefined)
        if (attributes.some((other) => other.apiName === created.apiName)) {
          return yield* this.#exists("apiName", created.apiName)
        }
        return [...attributes, created]
      }),
    )
  }

  updateAttributes(apiName: string, body: unknown, now: number): Result<CustomType> {
    const { codes } = this.settings.quirks
    return this.#editAttributes(apiName, body, now, (attributes, given) =>
      Either.gen(this, function* () {
        const old = yield* this.#attribute(attributes, given)
        const changed: Attribute = {
          apiName: old.apiName,
          name: "name" in given ? yield* read.displayName(codes, given) : old.name,
          dataType: yield* read.dataType(codes, given, old.dataType),
          description: (yield* optionalText(codes, given, "description")) ?? old.description,
          isPrimary: yield* read.isPrimary(codes, given, old.isPrimary),
        }
        return attributes.map((attribute) => (attribute === old ? changed : attribute))
      }),
    )
  }

  deleteAttributes(apiName: string, body: unknown, now: number): Result<CustomType> {
    return this.#editAttributes(apiName, body, now, (attributes, given) =>
      Either.gen(this, function* () {
        const old = yield* this.#attribute(attributes, given)
        if (old.isPrimary) return yield* this.#broken(`Primary attribute '${old.apiName}' cannot be deleted`)
        return attributes.filter((attribute) => attribute !== old)
      }),
    )
  }

  approve(apiName: string, now: number): Result<CustomType> {
    return this.#change(apiName, now, (type) => {
      if (type.draft === undefined) return this.#broken(`Custom activity type '${apiName}' has no draft`)
      if (primaryOf(type.draft) === undefined) {
        return this.#broken(`Custom activity type '${apiName}' has no primary attribute`)
      }
      type.live = type.draft
      type.draft = undefined
      return Either.void
    })
  }

  discardDraft(apiName: string, now: number): Result<CustomType> {
    return this.#change(apiName, now, (type) => {
      if (type.draft === undefined) return this.#broken(`Custom activity type '${apiName}' has no draft`)
      if (type.live === undefined) return this.#broken(`Custom activity type '${apiName}' was never approved`)
      type.draft = undefined
      return Either.void
    })
  }

  delete(apiName: string, now: number): Result<CustomType> {
    return this.#change(apiName, now, (type) => {
      type.deleted = true
      return Either.void
    })
  }

  #change(apiName: string, now: number, change: (type: CustomType) => Result<void>): Result<CustomType> {
    return Either.flatMap(this.find(apiName), (type) =>
      Either.map(change(type), () => {
        type.updatedAt = now
        return type
      }),
    )
  }

  /** Changes the draft, or makes one; the approved version stays as it is. */
  #edit(apiName: string, now: number, change: (version: Version) => Result<Version>): Result<CustomType> {
    return this.#change(apiName, now, (type) =>
      Either.gen(this, function* () {
        const draft = yield* change(newest(type))
        yield* this.#unique(draft, type)
        const secondary = secondaryOf(draft).length
        if (secondary > maxSecondaryAttributes) {
          return yield* refuse("1028")
        }
        if (type.used && isOther(type.live as Version, draft)) {
          return yield* this.#broken(`Only secondary attributes of '${apiName}' can be changed: it is in use`)
        }
        type.draft = draft
      }),
    )
  }

  #editAttributes(
    apiName: string,
    body: unknown,
    now: number,
    change: (attributes: ReadonlyArray<Attribute>, given: Json) => Result<ReadonlyArray<Attribute>>,
  ): Result<CustomType> {
    return this.#edit(apiName, now, (version) =>
      Either.gen(this, function* () {
        const given = members(body).attributes
        if (!Array.isArray(given) || given.length === 0) {
          return yield* refuse(this.settings.quirks.codes.missing, missing("attributes"))
        }
        let attributes = version.attributes
        for (const attribute of given) {
          attributes = yield* change(attributes, members(attribute))
          if (attributes.filter(({ isPrimary }) => isPrimary).length > 1) {
            return yield* this.#broken(`Custom activity type '${apiName}' has a primary attribute`)
          }
        }
        return { ...version, attributes }
      }),
    )
  }

  #attribute(attributes: ReadonlyArray<Attribute>, given: Json): Result<Attribute> {
    const { codes } = this.settings.quirks
    return Either.flatMap(requiredText(codes, given, "apiName"), (apiName) =>
      Either.fromNullable(
        attributes.find((attribute) => attribute.apiName === apiName),
        () => refusal(codes.field, fieldNotFound(apiName)),
      ),
    )
  }

  /** Only one at a time, so another attribute can be it only when the old one no longer is. */
  #withPrimary(version: Version, primary: Attribute): Result<ReadonlyArray<Attribute>> {
    const old = primaryOf(version)
    if (old !== undefined && old.apiName !== primary.apiName) {
      return this.#broken(`'${old.apiName}' is the primary attribute`)
    }
    return Either.right([primary, ...version.attributes.filter(({ apiName }) => apiName !== primary.apiName)])
  }

  #unique(version: Version, self: CustomType | undefined): Result<void> {
    const others = this.all.filter((type) => type !== self)
    for (const name of ["triggerName", "filterName"] as const) {
      const taken = others.some(({ draft, live }) => draft?.[name] === version[name] || live?.[name] === version[name])
      if (taken) return this.#exists(name, version[name])
    }
    return Either.void
  }

  #exists(name: string, value: string): Result<never> {
    return refuse(this.settings.quirks.codes.exists, `'${name}' '${value}' already exists`)
  }

  /** A rule of the life cycle. */
  #broken(message: string): Result<never> {
    return refuse(this.settings.quirks.codes.rule, message)
  }
}

const refuse = (code: string, message?: string): Result<never> => Either.left(refusal(code, message))

const isOther = (a: Version, b: Version): boolean =>
  a.name !== b.name ||
  a.description !== b.description ||
  a.triggerName !== b.triggerName ||
  a.filterName !== b.filterName ||
  primaryOf(a)?.apiName !== primaryOf(b)?.apiName

/** The secondary attributes that a record of it may have, and its primary one; undefined unless it is approved. */
export const approvedVersion = (
  type: CustomType,
): { readonly primary: Attribute; readonly secondary: ReadonlyArray<Attribute> } | undefined =>
  type.live === undefined || type.deleted
    ? undefined
    : { primary: primaryOf(type.live) as Attribute, secondary: secondaryOf(type.live) }
