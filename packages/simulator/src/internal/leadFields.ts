/** The lead fields that generated changes are about. `name` is the REST API name, `displayName` what activities show. */
export interface LeadField {
  readonly id: number
  readonly name: string
  readonly displayName: string
}

export const leadFields: ReadonlyArray<LeadField> = [
  { id: 48, name: "firstName", displayName: "First Name" },
  { id: 50, name: "lastName", displayName: "Last Name" },
  { id: 51, name: "email", displayName: "Email Address" },
  { id: 52, name: "phone", displayName: "Phone Number" },
  { id: 53, name: "title", displayName: "Job Title" },
  { id: 54, name: "company", displayName: "Company Name" },
  { id: 60, name: "city", displayName: "City" },
  { id: 62, name: "state", displayName: "State" },
  { id: 63, name: "country", displayName: "Country" },
  { id: 70, name: "leadSource", displayName: "Lead Source" },
  { id: 71, name: "leadStatus", displayName: "Lead Status" },
  { id: 75, name: "industry", displayName: "Industry" },
  { id: 80, name: "website", displayName: "Website" },
  { id: 90, name: "unsubscribed", displayName: "Unsubscribed" },
  { id: 100, name: "leadScore", displayName: "Lead Score" },
]

export const leadFieldNames: ReadonlySet<string> = new Set(leadFields.map((field) => field.name))

export const leadScore: LeadField = leadFields[leadFields.length - 1] as LeadField
