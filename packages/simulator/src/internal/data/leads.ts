/** The leads there are: a row of generated ids or given ones, and after them what was added. */
import type { Lead } from "../../Data.js"
import { iso } from "./instant.js"
import type { LeadField } from "./leadFields.js"
import { emailOf, generatedName } from "./values.js"

const firstLeadId = 100_000

/** Values by REST name. */
export type LeadValues = Readonly<Record<string, unknown>>

export class Leads {
  readonly #generated: number
  /** Ids of those that are not generated, in the order of their coming. */
  readonly #others: Array<number> = []
  readonly #indexes = new Map<number, number>()
  readonly #given = new Map<number, Lead>()

  constructor(
    leads: number | ReadonlyArray<Lead>,
    readonly fields: ReadonlyArray<LeadField>,
    /** Epoch seconds. */
    private readonly createdAt: number,
  ) {
    this.#generated = typeof leads === "number" ? leads : 0
    if (typeof leads !== "number") for (const lead of leads) this.add(lead)
  }

  get count(): number {
    return this.#generated + this.#others.length
  }

  /** One that is there already gets the values. */
  add(lead: Lead): void {
    if (this.indexOf(lead.id) === undefined) {
      this.#indexes.set(lead.id, this.count)
      this.#others.push(lead.id)
    }
    this.#given.set(lead.id, { ...this.#given.get(lead.id), ...lead })
  }

  idAt(index: number): number {
    return index < this.#generated ? firstLeadId + index : (this.#others[index - this.#generated] as number)
  }

  /** Its place among all leads; undefined if it does not exist. */
  indexOf(id: number): number | undefined {
    const generated = id - firstLeadId
    return Number.isInteger(id) && generated >= 0 && generated < this.#generated ? generated : this.#indexes.get(id)
  }

  valuesOf(id: number): LeadValues {
    const [firstName, lastName] = generatedName(id)
    const at = iso(this.createdAt)
    return { firstName, lastName, email: emailOf(id), createdAt: at, updatedAt: at, ...this.#given.get(id), id }
  }

  /** Capitals make no difference. */
  withEmail(email: string): ReadonlyArray<number> {
    const wanted = email.toLowerCase()
    const generated = Number(/^lead\.(\d+)@example\.com$/.exec(wanted)?.[1])
    return [...new Set([generated, ...this.#given.keys()])].filter(
      (id) => this.indexOf(id) !== undefined && String(this.valuesOf(id).email).toLowerCase() === wanted,
    )
  }

  /** What activities call a person. */
  nameOf(id: number): string {
    const [first, last] = generatedName(id)
    const { firstName = first, lastName = last }: LeadValues = this.#given.get(id) ?? {}
    return `${firstName} ${lastName}`
  }
}
