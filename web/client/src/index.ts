export * from "./contracts.ts"
export { type Options, type Socket, type State, type Stopped, WsClient } from "./wsClient.ts"
