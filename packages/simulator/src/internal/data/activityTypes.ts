/** The standard activity types as `types.json` declares them, with how often the generated data set holds each. */

export interface AttributeDefinition {
  readonly name: string
  readonly dataType: string
}

export interface ActivityType {
  readonly id: number
  readonly name: string
  readonly description?: string | undefined
  readonly primaryAttribute?: AttributeDefinition | undefined
  readonly attributes?: ReadonlyArray<AttributeDefinition> | undefined
  /** Weight in everyday traffic; types without one are declared and never generated. */
  readonly weight?: number | undefined
  /** Weight while an e-mail campaign runs. */
  readonly campaignWeight?: number | undefined
}

export const newLead = 12
export const changeDataValue = 13
export const changeScore = 22
export const mergeLeads = 32
export const deleteLead = 37

const attributes = (text: string): ReadonlyArray<AttributeDefinition> =>
  text.split(", ").map((pair) => {
    const [name = "", dataType = "string"] = pair.split(":")
    return { name, dataType }
  })

const type = (
  id: number,
  name: string,
  primary: string | undefined,
  secondary: string,
  weight: number,
  more: { readonly description?: string; readonly campaignWeight?: number } = {},
): ActivityType => ({
  id,
  name,
  ...(more.description === undefined ? {} : { description: more.description }),
  ...(primary === undefined ? {} : { primaryAttribute: attributes(primary)[0] }),
  attributes: attributes(secondary),
  weight,
  campaignWeight: more.campaignWeight,
})

const mailing = "Mailing ID:integer"
const campaignRun = "Campaign Run ID:integer, Choice Number:integer"
const sales =
  "Marketo Sales Person ID, Sales Campaign Name, Sales Campaign URL:link, Sales Template Name, Sales Template URL:link"
const lineage = "API Method Name, Modifying User, Request Id"

const described: ReadonlyArray<ActivityType> = [
  type(
    1,
    "Visit Webpage",
    "Webpage ID:integer",
    "Client IP Address, Personalized URL:boolean, Query Parameters, Referrer URL, Search Engine, Search Query, User Agent, Webpage URL",
    24,
    { description: "User visits a web page" },
  ),
  type(
    2,
    "Fill Out Form",
    "Webform ID:integer",
    "Client IP Address, Form Fields:text, Query Parameters, Referrer URL, User Agent, Webpage ID:integer",
    4,
  ),
  type(
    3,
    "Click Link",
    "Link ID:integer",
    "Client IP Address, Query Parameters, Referrer URL, User Agent, Webpage ID:integer",
    5,
  ),
  type(6, "Send Email", mailing, `${campaignRun}, Has Predictive:boolean, Step ID:integer, Test Variant:integer`, 6, {
    description: "Send Marketo Email to a person",
    campaignWeight: 46,
  }),
  type(
    7,
    "Email Delivered",
    mailing,
    `${campaignRun}, Has Predictive:boolean, Step ID:integer, Test Variant:integer`,
    6,
    { campaignWeight: 44 },
  ),
  type(
    8,
    "Email Bounced",
    mailing,
    `${campaignRun.replace(",", ", Category,")}, Details, Email, Has Predictive:boolean, Step ID:integer, Subcategory, Test Variant:integer`,
    1,
    { campaignWeight: 2 },
  ),
  type(
    9,
    "Unsubscribe Email",
    mailing,
    "Campaign Run ID:integer, Client IP Address, Form Fields:text, Has Predictive:boolean, Query Parameters, Referrer URL, Test Variant:integer, User Agent, Webform ID:integer, Webpage ID:integer",
    1,
  ),
  type(
    10,
    "Open Email",
    mailing,
    `${campaignRun}, Device, Has Predictive:boolean, Is Mobile Device:boolean, Platform, Step ID:integer, Test Variant:integer, User Agent, Bot Activity Pattern, Browser, Is Bot Activity:boolean`,
    18,
  ),
  type(
    11,
    "Click Email",
    mailing,
    `${campaignRun}, Device, Is Mobile Device:boolean, Is Predictive:boolean, Link, Link ID, Platform, Step ID:integer, Test Variant:integer, User Agent, Is Bot Activity:boolean, Bot Activity Pattern`,
    7,
  ),
  type(
    newLead,
    "New Lead",
    undefined,
    `Created Date:date, Form Name, Lead Source, List Name, SFDC Type, Source Type, ${lineage}`,
    2,
    { description: "New person/record is added to the lead database" },
  ),
  type(
    changeDataValue,
    "Change Data Value",
    "Attribute Name:integer",
    `New Value:text, Old Value:text, Reason, Source, ${lineage}`,
    11,
    { description: "Changed attribute value for a person/record" },
  ),
  type(
    changeScore,
    "Change Score",
    "Attribute Name:integer",
    "Change Value, New Value:integer, Old Value:integer, Reason",
    6,
  ),
  type(24, "Add to List", "List ID:integer", "Source", 1),
  type(25, "Remove from List", "List ID:integer", "Source", 0.4),
  type(
    27,
    "Email Bounced Soft",
    mailing,
    "Campaign Run ID:integer, Category, Choice Number:integer, Details, Email, Step ID:integer, Subcategory",
    1,
    { campaignWeight: 2 },
  ),
  type(
    mergeLeads,
    "Merge Leads",
    "Lead ID:integer",
    "Merge IDs:array, Merged in Sales:boolean, Merge Source, Master Updated:boolean",
    0.3,
  ),
  type(deleteLead, "Delete Lead", "Lead ID:integer", "Campaign", 0.5),
  type(38, "Send Alert", mailing, "Send To Owner, Send To List", 0.7),
  type(39, "Send Sales Email", mailing, sales, 0.5),
  type(40, "Open Sales Email", mailing, sales, 0.5),
  type(41, "Click Sales Email", mailing, sales, 0.3),
  type(47, "Request Campaign", "Campaign ID:integer", "Source", 0.5, { campaignWeight: 2 }),
  type(100, "Change Lead Partition", "Lead Partition ID:integer", "Old Partition ID:integer, Reason", 0.2),
  type(
    104,
    "Change Status in Progression",
    "Program ID:integer",
    "Acquired By:boolean, New Status, New Status ID:integer, Old Status, Old Status ID:integer, Program Member ID:integer, Reason, Success:boolean",
    2,
  ),
  type(113, "Add to Nurture", "Program ID:integer", "Track ID:integer, Track Name", 0.5),
  type(
    114,
    "Change Nurture Track",
    "Program ID:integer",
    "New Track ID:integer, Previous Track ID:integer, Previous Track Name, Track Name",
    0.4,
  ),
  type(115, "Change Nurture Cadence", "Program ID:integer", "New Nurture Cadence, Previous Nurture Cadence", 0.4),
  type(123, "Change Program Member Data", "Program ID:integer", "Source", 0.5),
  type(
    129,
    "Mobile App Session",
    "Mobile App ID:integer",
    "Device Type, Mobile App Session Length:integer, Platform",
    0.7,
  ),
  type(
    155,
    "Execute Campaign",
    "Campaign ID:integer",
    "Used Parent Campaign Token Context:boolean, Qualified:boolean",
    1,
    { campaignWeight: 4 },
  ),
]

/** Known by id and name only: no published record or declaration of their attributes. */
const named: ReadonlyArray<ActivityType> = Object.entries({
  19: "Sync Lead to SFDC",
  21: "Convert Lead",
  23: "Change Owner",
  26: "SFDC Activity",
  28: "Sync Lead Updates to SFDC",
  29: "Delete Lead from SFDC",
  30: "SFDC Activity Updated",
  31: "SFDC Merge Leads",
  34: "Add to Opportunity",
  35: "Remove from Opportunity",
  36: "Update Opportunity",
  42: "Add to SFDC Campaign",
  43: "Remove from SFDC Campaign",
  44: "Change Status in SFDC Campaign",
  45: "Receive Sales Email",
  46: "Interesting Moment",
  48: "Sales Email Bounced",
  101: "Change Revenue Stage",
  102: "Change Revenue Stage Manually",
  106: "Enrich with Data.com",
  108: "Change Segment",
  110: "Call Webhook",
  111: "Sent Forward to Friend Email",
  112: "Received Forward to Friend Email",
  131: "Fill Out Facebook Lead Ads Form",
  132: "Click RTP Call to Action",
  133: "Click Predictive Content",
  145: "Push Lead to Marketo",
  147: "Fill Out LinkedIn Lead Gen Form",
  300: "Sync Lead to Microsoft",
  400: "Share Content",
  401: "Vote in Poll",
  402: "Sign Up for Referral Offer",
  403: "Achieve Goal in Referral",
  405: "Click Shared Link",
  406: "Win Sweepstakes",
  407: "Enter Sweepstakes",
  408: "Disqualify Sweepstakes",
  409: "Earn Entry in Social App",
  410: "Refer to Social App",
}).map(([id, name]) => ({ id: Number(id), name }))

export const activityTypes: ReadonlyArray<ActivityType> = [...described, ...named].sort((a, b) => a.id - b.id)

export const activityTypeById: ReadonlyMap<number, ActivityType> = new Map(activityTypes.map((t) => [t.id, t]))

/** The members of one item of `types.json`, and nothing of ours. */
export const toWire = ({ campaignWeight: _, weight: __, ...wire }: ActivityType): unknown => wire

const day = 86_400
const shortLived: ReadonlySet<number> = new Set([1, 3, 6, 7, changeDataValue, 19, changeScore, 24, 28, 36, 47, 300])

/** How long Marketo keeps activities of this type, in seconds. Its months are counted as 30.44 days here. */
export const retentionSeconds = (typeId: number): number =>
  typeId === newLead
    ? Number.POSITIVE_INFINITY
    : typeId === deleteLead
      ? 14 * day
      : shortLived.has(typeId)
        ? 90 * day
        : Math.round(25 * 30.44 * day)
