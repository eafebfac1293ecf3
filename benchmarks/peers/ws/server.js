// Node's `ws`: a Set of sockets per room, one encoding per event, the heartbeat of its own documentation.
"use strict";

const http = require("node:http");
const { WebSocketServer, WebSocket } = require("ws");
const { SUBSCRIBED, TYPING, controlHandler, messageNew, roomsOf, typing, userOfHeader } = require("../common.js");

const BARE = process.argv[3] === "bare"; // no authentication
const rooms = new Map();

function send(room, event, except) {
  const text = Buffer.from(JSON.stringify(event)); // once, not once per socket
  for (const socket of rooms.get(room) ?? [])
    if (socket !== except && socket.readyState === WebSocket.OPEN) socket.send(text, { binary: false });
}

function leave(socket) {
  for (const room of socket.rooms) {
    const members = rooms.get(room);
    members?.delete(socket);
    if (members?.size === 0) rooms.delete(room);
  }
  socket.rooms = [];
}

function subscribe(socket, data) {
  leave(socket);
  socket.rooms = roomsOf(data);
  for (const room of socket.rooms) {
    if (!rooms.has(room)) rooms.set(room, new Set());
    rooms.get(room).add(socket);
  }
  socket.send(JSON.stringify({ type: SUBSCRIBED, data, ts: Date.now() }));
}

function receive(raw) {
  const event = JSON.parse(raw);
  if (event.type === "client.system.subscribe") subscribe(this, event.data);
  else if (event.type === TYPING) send(event.data.conversationId, typing(event.data, this.userId), this);
}

function onPong() {
  this.isAlive = true;
}

function onClose() {
  leave(this);
}

const publish = (room, due) => send(room, messageNew(room, due));
const server = http.createServer(controlHandler(publish));
const sockets = new WebSocketServer({ server, path: "/ws" });
sockets.on("connection", (socket, request) => {
  socket.rooms = [];
  socket.isAlive = true;
  socket.on("pong", onPong);
  socket.on("message", receive);
  socket.on("close", onClose);
  if (BARE) return;
  try {
    socket.userId = userOfHeader(request.headers.authorization);
  } catch {
    socket.close(4401, "unauthorized");
    return;
  }
  socket.send(JSON.stringify({ type: "server.system.ready", data: { userId: socket.userId }, ts: Date.now() }));
});
setInterval(() => {
  for (const socket of sockets.clients) {
    if (!socket.isAlive) socket.terminate();
    socket.isAlive = false;
    socket.ping();
  }
}, 25_000);
server.listen(Number(process.argv[2]), "127.0.0.1");
