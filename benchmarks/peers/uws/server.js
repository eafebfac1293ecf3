// uWebSockets.js with its native publish and subscribe and its own pings.
"use strict";

const uws = require("@trufflesuite/uws-js-unofficial");
const { SUBSCRIBED, TYPING, control, messageNew, roomsOf, typing, userOfHeader } = require("../common.js");

const decoder = new TextDecoder();

function subscribe(socket, data) {
  for (const room of socket.getTopics()) socket.unsubscribe(room);
  for (const room of roomsOf(data)) socket.subscribe(room);
  socket.send(JSON.stringify({ type: SUBSCRIBED, data, ts: Date.now() }));
}

const app = uws.App();
const publish = (room, due) => app.publish(room, JSON.stringify(messageNew(room, due)));

app.ws("/ws", {
  idleTimeout: 32, // pings after 24 s
  maxBackpressure: 256 * 1024,
  closeOnBackpressureLimit: true, // by default it would drop messages silently
  upgrade: (response, request, context) => {
    let userId = null;
    try {
      userId = userOfHeader(request.getHeader("authorization"));
    } catch {
      // accepted, then closed: a browser cannot see an HTTP 401
    }
    response.upgrade(
      { userId },
      request.getHeader("sec-websocket-key"),
      request.getHeader("sec-websocket-protocol"),
      request.getHeader("sec-websocket-extensions"),
      context,
    );
  },
  open: (socket) => {
    if (socket.userId === null) socket.end(4401, "unauthorized");
    else socket.send(JSON.stringify({ type: "server.system.ready", data: { userId: socket.userId }, ts: Date.now() }));
  },
  message: (socket, raw) => {
    const event = JSON.parse(decoder.decode(raw));
    if (event.type === "client.system.subscribe") subscribe(socket, event.data);
    else if (event.type === TYPING)
      socket.publish(event.data.conversationId, JSON.stringify(typing(event.data, socket.userId)));
  },
});

app.post("/*", (response, request) => {
  const target = `${request.getUrl()}?${request.getQuery()}`;
  let body = "";
  response.onAborted(() => {});
  response.onData(async (chunk, isLast) => {
    body += decoder.decode(chunk);
    if (!isLast) return;
    const [status, answer] = await control(target, body, publish);
    response.cork(() => {
      response.writeStatus(`${status} OK`).writeHeader("Content-Type", "application/json").end(JSON.stringify(answer));
    });
  });
});

app.listen("127.0.0.1", Number(process.argv[2]), (listening) => {
  if (!listening) process.exit(1);
});
