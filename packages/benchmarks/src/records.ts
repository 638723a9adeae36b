/** Custom activities to write. */
import type { Data } from "@effect-marketo/simulator"

/** Records a call. */
export const BATCH = 300

export const record = (number: number) => ({
  leadId: 100_000 + (number % BATCH),
  activityDate: "2026-02-01T12:00:00Z",
  activityTypeId: 100_001,
  primaryAttributeValue: "Sea Kayak",
  attributes: [
    { apiName: "rentalId", value: `R-${number}` },
    { apiName: "rentalHours", value: 2.5 },
    { apiName: "comment", value: "picked up at the river, returned at the lake" },
  ],
})

/** Of these records. */
export const customType: Data.CustomType = {
  name: "Rent Kayak",
  apiName: "rentKayak",
  primaryAttribute: { apiName: "kayakModel", name: "Kayak Model", dataType: "string" },
  attributes: [
    { apiName: "rentalId", name: "Rental Id", dataType: "string" },
    { apiName: "rentalHours", name: "Rental Hours", dataType: "float" },
    { apiName: "comment", name: "Comment", dataType: "string" },
  ],
}

/** As they are sent, batch by batch and each one new, so that neither side keeps more than it must. */
export const batch = (number: number) => Array.from({ length: BATCH }, (_, i) => record(number * BATCH + i))
