/** The fields of leads: Marketo's standard ones, unless others are configured. */
import type { LeadField as NewLeadField } from "../../Data.js"

export interface LeadField {
  readonly id: number
  /** The REST name; `displayName` is what activities show. */
  readonly name: string
  readonly displayName: string
  readonly dataType: string
  readonly length: number | undefined
  readonly readOnly: boolean
}

/** Ids as lead changes have them: 48 and 62 are documented, the others are made up. A `!` marks what is read only. */
const standard = `
48 firstName=First Name
50 lastName=Last Name
51 email=Email Address:email
52 phone=Phone Number:phone
53 title=Job Title
54 company=Company Name
60 city=City
62 state=State
63 country=Country
70 leadSource=Lead Source
71 leadStatus=Lead Status
75 industry=Industry
80 website=Website:url
90 unsubscribed=Unsubscribed:boolean
100 leadScore=Lead Score:score
101 department=Department
102 leadRole=Role
103 mobilePhone=Mobile Phone Number:phone
104 address=Address:text
105 postalCode=Postal Code
106 annualRevenue=Annual Revenue:currency
107 numberOfEmployees=Num Employees:integer
108 site=Site
109 billingStreet=Billing Address:text
110 billingCity=Billing City
111 billingState=Billing State
112 billingCountry=Billing Country
113 billingPostalCode=Billing Postal Code
114 mainPhone=Main Phone:phone
115 sicCode=SIC Code
116 mktoCompanyNotes=Company Notes:text
117 salutation=Salutation
118 middleName=Middle Name
119 fax=Fax Number:phone
120 contactCompany=Contact Company:integer
121 dateOfBirth=Date of Birth:date
122 personTimeZone=Person Time Zone
123 unsubscribedReason=Unsubscribed Reason:text
124 doNotCall=Do Not Call:boolean
125 doNotCallReason=Do Not Call Reason:text
126 emailInvalid=Email Invalid:boolean
127 emailInvalidCause=Email Invalid Cause
128 marketingSuspended=Marketing Suspended:boolean
129 marketingSuspendedCause=Marketing Suspended Cause
130 blackListed=Black Listed:boolean
131 blackListedCause=Black Listed Cause
132 mktoPersonNotes=Person Notes:text
133 rating=Lead Rating
134 urgency=Urgency:float
135 priority=Priority:integer
136 gender=Marketo Social Gender
137 externalCompanyId=External Company Id
138 externalSalesPersonId=External Sales Person Id
139 leadPartitionId=Lead Partition Id:integer
140 leadRevenueCycleModelId=Lead Revenue Cycle Model:integer
141 leadRevenueStageId=Lead Revenue Stage:integer
142 mktoAcquisitionDate=Acquisition Date:datetime
143 acquisitionProgramId=Acquisition Program:integer
!144 id=Id:integer
!145 mktoName=Full Name
!146 personType=Person Type
!147 mktoIsPartner=Is Partner:boolean
!148 isLead=Is Lead:boolean
!149 mktoIsCustomer=Is Customer:boolean
!150 isAnonymous=Is Anonymous:boolean
!151 createdAt=Created At:datetime
!152 updatedAt=Updated At:datetime
!153 cookies=Marketo Cookies
!154 leadPerson=Person:integer
!155 relativeScore=Relative Score:integer
!156 relativeUrgency=Relative Urgency:integer
!157 originalSourceType=Original Source Type
!158 originalSourceInfo=Original Source Info
!159 originalReferrer=Original Referrer
!160 originalSearchEngine=Original Search Engine
!161 originalSearchPhrase=Original Search Phrase
!162 registrationSourceType=Registration Source Type
!163 registrationSourceInfo=Registration Source Info
!164 anonymousIP=Anonymous IP
!165 inferredCompany=Inferred Company
!166 inferredCountry=Inferred Country
!167 inferredCity=Inferred City
!168 inferredStateRegion=Inferred State Region
!169 inferredPostalCode=Inferred Postal Code
!170 inferredMetropolitanArea=Inferred Metropolitan Area
!171 inferredPhoneAreaCode=Inferred Phone Area Code
`

const parse = (line: string): NewLeadField => {
  const [, readOnly, id, name = "", displayName = "", dataType] =
    /^(!)?(\d+) (\w+)=([^:]+)(?::(\w+))?$/.exec(line) ?? []
  return { id: Number(id), name, displayName, dataType, readOnly: readOnly !== undefined }
}

const standardFields: ReadonlyArray<NewLeadField> = standard.trim().split("\n").map(parse)
const firstOwnId = 1_000

const complete = (field: NewLeadField, i: number): LeadField => {
  const { dataType = "string", displayName = field.name, id = firstOwnId + i, length, name, readOnly = false } = field
  return { id, name, displayName, dataType, length: length ?? (dataType === "string" ? 255 : undefined), readOnly }
}

export const makeLeadFields = (given: ReadonlyArray<NewLeadField> = standardFields): ReadonlyArray<LeadField> =>
  given.map(complete)

/** As `leads/describe.json` shows it. SOAP, which it used to show too, is gone. */
export const toWire = ({ dataType, displayName, id, length, name, readOnly }: LeadField): unknown => ({
  id,
  displayName,
  dataType,
  length,
  rest: { name, readOnly },
})
