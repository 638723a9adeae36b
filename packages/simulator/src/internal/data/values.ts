/** Attribute values as real records have them: long user agents, several scripts, line ends, quotes and braces. */
import { hash, type Random } from "./random.js"

const givenNames = ["Anna", "Zoë", "José", "Björn", "美咲", "Иван", "Aoife", "Lê", "Mateo", "Noor", "Łukasz", "Priya"]
const familyNames = [
  "Müller",
  "O'Neill",
  "García",
  "Sørensen",
  "田中",
  "Петров",
  "Nguyễn",
  "Smith",
  "Öztürk",
  "Kowalski",
]
const companies = ['Acme "Boats" Ltd.', "Grün & Söhne", "株式会社青空", "Fjord {labs}", "Smith\\Jones", "Café Ñandú"]
const cities = ["Zürich", "São Paulo", "東京", "Köln", "Montréal", "Kraków", "Dublin"]

const userAgents = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
  "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.39 Mobile Safari/537.36",
  "Mozilla/5.0 (compatible; GoogleImageProxy; via ggpht.com)",
]
const pages = [
  "/products/kayaks/sea-touring-two-seater-carbon",
  "/pricing",
  "/ressourcen/überblick",
  "/blog/2026/01/winter-paddling-what-to-wear-and-where-to-go",
  "/événements/salon",
  "/",
]
const bounceDetails = [
  "550 5.1.1 <recipient>: Recipient address rejected:\r\n user unknown in virtual mailbox table",
  "421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints\r\n see https://postmaster.example.net/4.7.0",
  '552 5.2.2 mailbox full;\r\n"over quota" {limit: 2048 MB}',
]

/** Names in which campaigns, programs and assets are grouped: `Program.Asset` in an activity. */
export const campaignNames = [
  "2026-01 Winter Paddle EMEA Newsletter (existing customers)",
  "2026-Q1 Nurture: «Entdecker» Onboarding Track, German",
  '2026-02-12 Webinar "Rivers of the North" Invitation',
  "2026 Trade Show Lyon, Follow-up after the Booth Visit",
  "2026年 秋の新製品キャンペーン 東京オフィス 既存顧客向け",
]

/** The first and the last name of a lead that was not given others. */
export const generatedName = (leadId: number): readonly [string, string] => [
  givenNames[hash(leadId, 1) % givenNames.length] as string,
  familyNames[hash(leadId, 2) % familyNames.length] as string,
]

export const emailOf = (leadId: number): string => `lead.${leadId}@example.com`

const address = (random: Random): string => `10.${random.below(256)}.${random.below(256)}.${random.below(256)}`
const url = (random: Random): string => `https://www.example.com${random.pick(pages)}`
const query = (random: Random): string =>
  random.chance(0.3)
    ? ""
    : `utm_source=newsletter&utm_medium=email&utm_campaign=winter-${random.below(90)}&utm_content=hero-button&mkt_tok=${token(random)}${token(random)}${token(random)}${token(random)}`
const token = (random: Random): string => random.below(2 ** 31).toString(36)

/** A new or old value of a lead field, as text. */
export const fieldValue = (name: string, dataType: string, random: Random): string => {
  switch (name) {
    case "company":
      return random.pick(companies)
    case "firstName":
      return random.pick(givenNames)
    case "lastName":
      return random.pick(familyNames)
  }
  switch (dataType) {
    case "boolean":
      return random.pick(["true", "false"])
    case "integer":
    case "score":
      return String(random.below(100))
    case "float":
    case "currency":
      return `${random.below(10_000)}.${random.below(10)}`
    case "date":
      return `2025-12-${10 + random.below(20)}`
    case "datetime":
      return `2025-12-${10 + random.below(20)}T08:15:00Z`
    case "url":
      return url(random)
    case "email":
      return emailOf(random.below(10_000))
    default:
      return random.pick(cities)
  }
}

/** A value for an attribute of this name, else for its data type. */
export const attributeValue = (name: string, dataType: string, leadId: number, random: Random): unknown => {
  switch (name) {
    case "Client IP Address":
      return address(random)
    case "User Agent":
      return random.pick(userAgents)
    case "Query Parameters":
      return query(random)
    case "Referrer URL":
    case "Webpage URL":
    case "Link":
    case "Sales Campaign URL":
    case "Sales Template URL":
      return url(random)
    case "Form Fields":
      return `a:3:{s:5:"Email";s:${emailOf(leadId).length}:"${emailOf(leadId)}";s:7:"Company";s:12:"${random.pick(companies)}";s:7:"Message";s:21:"Please call me\r\nback.";}`
    case "Details":
      return random.pick(bounceDetails)
    case "Category":
      return String(1 + random.below(4))
    case "Subcategory":
      return random.pick(["1001", "1999", "2003", "3001", "4003", "4006"])
    case "Email":
      return emailOf(leadId)
    case "New Value":
    case "Old Value":
      return dataType === "integer" ? random.below(200) : random.pick(companies)
    case "Change Value":
      return `${random.chance(0.8) ? "+" : "-"}${1 + random.below(20)}`
    case "Reason":
      return `Web form fill: "Contact {us}" \\ ${random.pick(cities)}`
    case "Source":
      return random.pick(["Web form fill", "Sales", "Web service API", "List import", "Marketo Flow Action"])
    case "Choice Number":
    case "Test Variant":
      return random.below(4)
    case "Request Id":
      return `${random.below(0xfffff).toString(16)}#${random.below(2 ** 31).toString(16)}`
    case "API Method Name":
      return "syncLead"
    case "Modifying User":
      return "integration@example.com"
    case "Created Date":
      return `2025-12-${10 + random.below(20)}`
    case "Merge IDs":
      return [leadId + 1 + random.below(50)]
    case "Campaign":
    case "Sales Campaign Name":
    case "Sales Template Name":
      return random.pick(campaignNames)
    case "Platform":
      return random.pick(["iOS", "Android", "Windows", "macOS"])
    case "Device":
    case "Device Type":
      return random.pick(["iPhone", "Pixel 9", "unknown"])
    case "Browser":
      return random.pick(["Chrome", "Safari", "Edge"])
    case "New Nurture Cadence":
    case "Previous Nurture Cadence":
      return random.pick(["Norm", "Paused"])
  }
  switch (dataType) {
    case "integer":
      return random.below(20_000)
    case "boolean":
      return random.chance(0.3)
    default:
      return `${random.pick(cities)} ${random.below(1_000)}`
  }
}
