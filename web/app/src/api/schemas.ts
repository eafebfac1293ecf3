/** What REST accepts and returns, as its OpenAPI document names it. An optional field is absent, never `null`. */

import type { components } from "./restTypes.ts"

type Schemas = components["schemas"]

export type Conversation = Schemas["Conversation"]
export type Credentials = Schemas["Credentials"]
export type Member = Schemas["Member"]
export type Message = Schemas["Message"]
export type MessagePage = Schemas["MessagePage"]
export type NewConversation = Schemas["NewConversation"]
export type NewMessage = Schemas["NewMessage"]
export type Presence = Schemas["Presence"]
export type Problem = Schemas["Problem"]
export type ReadMarker = Schemas["ReadMarker"]
export type Session = Schemas["Session"]
export type User = Schemas["User"]
