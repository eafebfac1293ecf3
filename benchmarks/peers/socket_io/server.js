// Socket.IO on Node: rooms, middleware for authentication, every setting the default.
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");
const { EVENT, SUBSCRIBED, TYPING, controlHandler, messageNew, roomsOf, typing, userOf } = require("../common.js");

let io = null;
const publish = (room, due) => {
  const { data, ts } = messageNew(room, due);
  io.to(room).emit(EVENT, { ...data, ts });
};

async function main() {
  const server = http.createServer(controlHandler(publish));
  io = new Server(server);
  if (process.env.BENCHMARK_REDIS) {
    const { createClient } = require("redis");
    const { createAdapter } = require("@socket.io/redis-adapter");
    const publisher = createClient({ url: process.env.BENCHMARK_REDIS });
    const subscriber = publisher.duplicate();
    await Promise.all([publisher.connect(), subscriber.connect()]);
    io.adapter(createAdapter(publisher, subscriber, { key: process.env.BENCHMARK_PREFIX }));
  }
  io.use((socket, next) => {
    try {
      socket.data.userId = userOf(socket.handshake.auth.token);
      next();
    } catch {
      next(new Error("unauthorized"));
    }
  });
  io.on("connection", (socket) => {
    socket.on("client.system.subscribe", async (data) => {
      await socket.join(roomsOf(data));
      socket.emit(SUBSCRIBED, data);
    });
    socket.on(TYPING, (data) => {
      const event = typing(data, socket.data.userId);
      socket.to(data.conversationId).emit(TYPING, { ...event.data, ts: event.ts });
    });
  });
  server.listen(Number(process.argv[2]), "127.0.0.1");
}

main();
