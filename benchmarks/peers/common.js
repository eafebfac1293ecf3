// What the servers on Node share: who connects, what is published when, where messages are stored, how they are driven.
"use strict";

const { createSecretKey } = require("node:crypto");
const jwt = require("jsonwebtoken");
const { setTimeout: sleep } = require("node:timers/promises");

const SECRET = createSecretKey(process.env.BENCHMARK_SECRET, "utf8"); // once: from a string it would be made every time
const EVENT = "server.messenger.message_new";
const SUBSCRIBED = "server.system.subscribed";
const TYPING = "client.messenger.typing";
const CREATED_AT = "2026-01-01T12:00:00.000Z"; // of everything that is published: reading the clock is no server's work

/** Gives the user of a token; throws where it is not one of ours. */
function userOf(token) {
  return jwt.verify(token ?? "", SECRET, { algorithms: ["HS256"] }).sub;
}

/** Gives the user of an Authorization header. */
function userOfHeader(header) {
  return userOf((header ?? "").replace(/^Bearer /, ""));
}

function nanoseconds() {
  return Number(process.hrtime.bigint());
}

/** Gives the event that is published, as a user of this server would make it; the message's id says when it was due. */
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

/** Gives the typing event that the others of a room hear: with the sender's own id. */
function typing(data, userId) {
  return { type: TYPING, data: { ...data, userId }, ts: Date.now() };
}

/** Gives the names of the topics of a subscribe event. */
function roomsOf(data) {
  return data.topics.map((topic) => topic.id);
}

/**
 * Publishes `count` events, `burst` in one turn of the loop, `interval` seconds apart. Paced, they stick to their
 * schedule: those that are late leave together, stamped with the moment at which they were due.
 */
async function publishAll({ topic, rooms, count, burst, interval, paced }, publish) {
  const began = nanoseconds();
  const roomOf = (number) => (rooms ? `room-${String(number % rooms).padStart(7, "0")}` : topic);
  const dueAt = (number) => began + Math.floor(number / burst) * interval * 1e9;
  for (let sent = 0; sent < count; ) {
    const now = nanoseconds();
    if (paced) {
      for (; sent < count && dueAt(sent) <= now; sent++) publish(roomOf(sent), Math.round(dueAt(sent)));
      if (sent < count) await sleep(Math.max(1, (dueAt(sent) - nanoseconds()) / 1e6));
    } else {
      for (let i = 0; i < burst; i++, sent++) publish(roomOf(sent), now);
      await sleep(interval * 1e3);
    }
  }
  return { published: count };
}

/** Opens the table of messages in SQLite: better-sqlite3 where it could be compiled, else its WebAssembly build. */
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

/** Answers the requests that drive a server; gives the status and what to write as JSON. */
async function control(target, body, publish) {
  const url = new URL(target, "http://127.0.0.1");
  if (url.pathname === "/publish") {
    const given = Object.fromEntries(url.searchParams);
    const numbers = ["rooms", "count", "burst", "interval", "paced"].map((name) => [name, Number(given[name])]);
    return [200, await publishAll({ topic: given.topic, ...Object.fromEntries(numbers) }, publish)];
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

/** Gives the handler of node:http that drives a server. */
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
