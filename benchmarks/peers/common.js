// Code that the Node servers share: authentication, publishing, storing messages, and the endpoints that control them.
"use strict";

const { createSecretKey } = require("node:crypto");
const jwt = require("jsonwebtoken");
const { setTimeout: sleep } = require("node:timers/promises");

const SECRET = createSecretKey(process.env.BENCHMARK_SECRET, "utf8"); // once, not for every token
const EVENT = "server.messenger.message_new";
const SUBSCRIBED = "server.system.subscribed";
const TYPING = "client.messenger.typing";
const CREATED_AT = "2026-01-01T12:00:00.000Z"; // of every event: reading the clock is not part of any server's work

/** Return the user of a token; throw if it is not valid. */
function userOf(token) {
  return jwt.verify(token ?? "", SECRET, { algorithms: ["HS256"] }).sub;
}

/** Return the user of an Authorization header. */
function userOfHeader(header) {
  return userOf((header ?? "").replace(/^Bearer /, ""));
}

function nanoseconds() {
  return Number(process.hrtime.bigint());
}

/** Return the event that is published, built as a user of this server would. Its id is the time it was due. */
function messageNew(room, due) {
  return {
    type: EVENT,
    data: {
      conversationId: room,
      messageId: String(due).padStart(21, "0"),
      senderId: "user-0000000",
      createdAt: CREATED_AT,
    },
    ts: Date.now(),
  };
}

/** Return the typing event that the others of a room receive, with the sender's id. */
function typing(data, userId) {
  return { type: TYPING, data: { ...data, userId }, ts: Date.now() };
}

/** Return the ids of the topics of a subscribe event. */
function roomsOf(data) {
  return data.topics.map((topic) => topic.id);
}

/**
 * Publish `count` events, `burst` in one turn of the event loop, `interval` seconds apart. With `paced`, they keep to a
 * schedule: late ones are published at once. Each carries the time at which it was due.
 */
async function publishAll({ topic, rooms, count, burst, interval, paced }, publish) {
  const startedAt = nanoseconds();
  const roomOf = (number) => (rooms ? `room-${String(number % rooms).padStart(7, "0")}` : topic);
  const dueAt = (number) => startedAt + Math.floor(number / burst) * interval * 1e9;
  for (let published = 0; published < count; ) {
    const now = nanoseconds();
    if (paced) {
      for (; published < count && dueAt(published) <= now; published++)
        publish(roomOf(published), Math.round(dueAt(published)));
      if (published < count) await sleep(Math.max(1, (dueAt(published) - nanoseconds()) / 1e6));
    } else {
      for (let i = 0; i < burst; i++, published++) publish(roomOf(published), now);
      await sleep(interval * 1e3);
    }
  }
  return { published: count };
}

/** Open the table of messages in SQLite: with better-sqlite3, or in WebAssembly if that could not be compiled. */
function openDatabase() {
  const create = "CREATE TABLE message (id TEXT PRIMARY KEY, conversation TEXT, sender TEXT, body TEXT, created TEXT)";
  const insert = "INSERT INTO message VALUES (?, ?, ?, ?, ?)";
  const file = process.env.BENCHMARK_DATABASE;
  try {
    const database = new (require("better-sqlite3"))(file);
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = NORMAL");
    database.exec(create);
    const statement = database.prepare(insert);
    return (...row) => statement.run(...row);
  } catch (error) {
    if (error.code === "SQLITE_ERROR") throw error;
    const database = new (require("node-sqlite3-wasm").Database)(file);
    database.exec(create);
    const statement = database.prepare(insert);
    return (...row) => statement.run(row);
  }
}

let store = null;

/** Handle a request that controls a server; return the status and the answer, to be written as JSON. */
async function control(target, body, publish) {
  const url = new URL(target, "http://127.0.0.1");
  if (url.pathname === "/publish") {
    const query = Object.fromEntries(url.searchParams);
    const numbers = ["rooms", "count", "burst", "interval", "paced"].map((name) => [name, Number(query[name])]);
    return [200, await publishAll({ topic: query.topic, ...Object.fromEntries(numbers) }, publish)];
  }
  if (url.pathname === "/collect") {
    global.gc();
    return [200, {}];
  }
  if (url.pathname === "/messages") {
    const message = JSON.parse(body);
    store ??= openDatabase();
    store(message.id, message.conversationId, message.senderId, message.body, new Date().toISOString());
    publish(message.conversationId, message.id);
    return [201, message];
  }
  return [404, {}];
}

/** Return the handler for node:http that controls a server. */
function controlHandler(publish) {
  return (request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", async () => {
      const [status, answer] = await control(request.url, body, publish);
      response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
    });
  };
}

module.exports = { EVENT, SUBSCRIBED, TYPING, control, controlHandler, messageNew, roomsOf, typing, userOf, userOfHeader };
